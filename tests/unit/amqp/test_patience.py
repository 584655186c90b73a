from pytest_mock import MockerFixture

from orderd.amqp.confirm_patience import LONG_S, SHORT_S, STAYS_SHORT_S, ConfirmPatience


def test_patience_is_short_for_a_while_after_it_was_in_vain(mocker: MockerFixture) -> None:
    clock = mocker.patch("orderd.amqp.confirm_patience.time.monotonic", return_value=100.0)
    patience = ConfirmPatience()
    assert patience.seconds == LONG_S

    patience.note_unanswered()
    assert patience.seconds == SHORT_S

    clock.return_value += STAYS_SHORT_S
    assert patience.seconds == LONG_S


def test_what_is_unanswered_in_a_short_wait_prolongs_nothing(mocker: MockerFixture) -> None:
    clock = mocker.patch("orderd.amqp.confirm_patience.time.monotonic", return_value=100.0)
    patience = ConfirmPatience()
    patience.note_unanswered()

    clock.return_value += STAYS_SHORT_S / 2
    patience.note_unanswered()

    clock.return_value += STAYS_SHORT_S / 2
    assert patience.seconds == LONG_S
