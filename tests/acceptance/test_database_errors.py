"""A database that does not take a command: what is told of that holds no value of any row."""

import pytest

from tests.acceptance.shop import HEARD, REPLIES, Shop, user
from tests.conftest import StartDaemon

CHECK = "ALTER TABLE users ADD CONSTRAINT no_hunters CHECK (username NOT LIKE 'hunter%')"
TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.username LIKE 'hunter%' THEN
        RAISE EXCEPTION '% is not wanted', NEW.username USING DETAIL = NEW.email, HINT = NEW.email;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (CHECK, "check violation (SQLSTATE 23514): constraint no_hunters"),
        (TRIGGER, "raise exception (SQLSTATE P0001)"),
    ],
)
def test_no_value_of_a_row_reaches_reply_dead_letter_event_or_log(
    shop: Shop, daemon: StartDaemon, change: str, told: str
) -> None:
    shop.query(change)
    orderd = daemon(retry_delays="100ms", log_level="debug")

    shop.send_all([user("hunter2"), user("ann", id="ann")])
    orderd.wait_for_event("message.dead_lettered")

    assert shop.wait_for("ann") == {"ann": "applied"}
    (letter,) = shop.take("user.dlq")
    replies = [reply.json for reply in shop.take(REPLIES, 2)]
    assert orderd.stop() == 0
    told_of = [one for one in shop.take_all(HEARD) if one.routing_key == "system.dead_lettered"]
    headers = {name: value for name, value in letter.headers.items() if name.startswith("orderd-")}
    (refused,) = [reply for reply in replies if reply["status"] == "error"]
    assert told in headers["orderd-reason"]
    assert told in headers["orderd-error"]
    assert told in refused["error"]
    assert told in told_of[0].json["data"]["reason"]
    for text in (str(headers), str(refused), str(told_of[0].json), orderd.output):
        assert "hunter2" not in text
