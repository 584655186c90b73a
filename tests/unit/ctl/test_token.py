"""`orderctl token`: key files that nobody overwrites, tokens for scripts, and what is in one."""

import io
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from orderd.auth.signatures import parse_keys
from orderd.auth.signing import ALGORITHMS, generate
from orderd.ctl.errors import Failure
from orderd.ctl.main import main
from orderd.ctl.token.key_files import add_key
from orderd.protocol.strict_json import loads
from tests.support.web_tokens import AUDIENCE, ISSUER, claims, jwk, jwks, pem, token

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the test, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `orderctl token ARGUMENTS`; return code, stdout and stderr."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = main(["token", *arguments])
        except SystemExit as end:
            code = int(str(end.code))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def configured(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a daemon that takes the keys in the file which is returned."""
    keys = place / "jwks.json"
    monkeypatch.setenv("ORDERD_JWT__KEYS", str(keys))
    monkeypatch.setenv("ORDERD_JWT__ISSUER", ISSUER)
    monkeypatch.setenv("ORDERD_JWT__AUDIENCE", AUDIENCE)
    return keys


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def issued(run: Run, *more: str, key: str = "private.pem", scope: str = "order.create") -> str:
    code, out, _ = run("issue", "--key", key, "--subject", "shop", "--scope", scope, *more)
    assert code == 0
    return out.strip()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_pair_is_made_issues_and_is_accepted(
    run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    monkeypatch.setenv("ORDERD_JWT__ALGORITHMS", algorithm)
    old = os.umask(0)
    try:
        code, out, _ = run("keygen", "--algorithm", algorithm, "--json")
    finally:
        os.umask(old)
    told = loads(out.encode())
    private = Path(told["private_key"])

    assert (code, told["algorithm"], told["jwks"]) == (0, algorithm, "jwks.json")
    assert private.name == ("private.jwk" if algorithm == "HS256" else "private.pem")
    assert mode(private) == 0o600
    assert mode(configured) == (0o600 if algorithm == "HS256" else 0o644)
    one = issued(run, key=str(private))
    code, out, err = run("inspect", "--json", stdin=f"Bearer {one}\n")
    found = loads(out.encode())
    assert (code, err, found["valid"], found["reason"]) == (0, "", True, None)
    assert found["header"] == {"alg": algorithm, "kid": told["kid"], "typ": "JWT"}
    assert found["sha256"] == sha256(one.encode()).hexdigest()[:8]


def test_a_secret_is_said_to_sign_and_to_verify(run: Run) -> None:
    _, _, err = run("keygen", "--algorithm", "HS256")

    assert err.startswith("HS256: one secret signs and verifies: whoever may read private.jwk or")
    assert 'algorithms = ["HS256"]' in err


def test_no_file_is_overwritten_and_none_is_left_half_way(run: Run, place: Path) -> None:
    run("keygen")
    before = {file.name: file.read_bytes() for file in place.iterdir()}

    code, out, err = run("keygen")

    assert (code, out) == (1, "")
    assert err == "orderctl: private.pem: exists already, and is not overwritten\n"
    (place / "private.pem").unlink()
    code, _, err = run("keygen")
    assert (code, err) == (1, "orderctl: jwks.json: exists already, and is not overwritten\n")
    assert [file.name for file in place.iterdir()] == ["jwks.json"]
    assert (place / "jwks.json").read_bytes() == before["jwks.json"]


def test_a_link_in_the_place_of_a_key_is_not_followed(run: Run, place: Path) -> None:
    (place / "private.pem").symlink_to(place / "elsewhere")

    assert run("keygen")[0] == 1
    assert not (place / "elsewhere").exists()


def test_a_directory_that_is_not_there_is_named(run: Run) -> None:
    assert run("keygen", "--out", "no")[2] == (
        "orderctl: no/private.pem: No such file or directory\n"
    )


def test_a_key_is_added_for_a_rotation(run: Run, place: Path, configured: Path) -> None:
    run("keygen", "--kid", "2026")
    configured.chmod(0o640)
    old = issued(run, "--kid", "2026")
    (place / "new").mkdir()

    code, _, _ = run("keygen", "--kid", "2027", "--out", "new", "--add-to", "jwks.json")

    assert code == 0
    assert [file.name for file in (place / "new").iterdir()] == ["private.pem"]
    assert [key.kid for key in parse_keys(configured.read_bytes(), ALGORITHMS)] == ["2026", "2027"]
    assert mode(configured) == 0o640
    assert sorted(file.name for file in place.iterdir()) == ["jwks.json", "new", "private.pem"]
    for one in (old, issued(run, "--kid", "2027", key="new/private.pem")):
        assert run("inspect", stdin=one)[0] == 0


def test_a_jwk_keeps_the_name_of_the_key(run: Run) -> None:
    run("keygen", "--kid", "2026", "--jwk")

    assert loads(Path("private.jwk").read_bytes())["kid"] == "2026"
    assert '"2026"' in run("inspect", "--json", stdin=issued(run, *IDENTITY, key="private.jwk"))[1]


IDENTITY = ("--issuer", ISSUER, "--audience", AUDIENCE)


def test_what_else_stands_in_a_jwks_stays(run: Run, place: Path) -> None:
    other = {**jwk("RS256", "theirs"), "x5t": "1.50", "n2": 1.5}
    (place / "jwks.json").write_text(json.dumps({"next": [1.50], "keys": [other]}))
    (place / "link").symlink_to("jwks.json")

    run("keygen", "--add-to", "link")

    found = json.loads((place / "jwks.json").read_text())
    assert (found["next"], found["keys"][0]) == ([1.5], other)
    assert (place / "link").is_symlink()


@pytest.mark.parametrize(
    ("content", "arguments", "why"),
    [
        (None, (), "jwks.json: No such file or directory"),
        (pem("EdDSA"), (), "jwks.json: is not JSON: "),
        (b"[]", (), "jwks.json: has no list of keys: a JWKS is an object with `keys`"),
        (b'{"keys":[1]}', (), "jwks.json: has no list of keys"),
        (jwks(jwk("EdDSA", "a")), ("--kid", "a"), "jwks.json: has a key with the kid 'a' already"),
        (
            jwks(*(jwk("EdDSA", str(number)) for number in range(16))),
            (),
            "jwks.json: has 16 keys; at most 16 are allowed",
        ),
        (
            jwks(jwk("EdDSA", "a")),
            ("--algorithm", "HS256"),
            "jwks.json: any user may read it, and the key is a secret: chmod o-r",
        ),
    ],
)
def test_a_key_that_cannot_be_added_leaves_all_as_it_was(
    run: Run, place: Path, content: bytes | None, arguments: tuple[str, ...], why: str
) -> None:
    file = place / "jwks.json"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o644)

    code, out, err = run("keygen", "--add-to", "jwks.json", *arguments)

    assert (code, out) == (1, "")
    assert err.startswith(f"orderctl: {why}")
    assert [one.read_bytes() for one in place.iterdir()] == ([] if content is None else [content])


def test_keys_that_are_added_at_once_are_all_there(place: Path) -> None:
    file = place / "jwks.json"
    file.write_bytes(jwks())
    keys = [generate("EdDSA").public_jwk() for _ in range(12)]

    with ThreadPoolExecutor(len(keys)) as pool:
        for done in [pool.submit(add_key, file, key, is_secret=False) for key in keys]:
            done.result()

    added = {key["kid"] for key in json.loads(file.read_text())["keys"]}
    assert added == {key["kid"] for key in keys}


def test_a_jwks_on_a_full_disk_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place / "jwks.json"
    file.write_bytes(jwks())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(Failure, match="No space left on device"):
        add_key(file, generate("EdDSA").public_jwk(), is_secret=False)
    assert [one.name for one in place.iterdir()] == ["jwks.json"]
    assert file.read_bytes() == jwks()


def test_a_token_alone_is_on_stdout_with_the_claims_that_were_asked_for(run: Run) -> None:
    run("keygen")
    before_s = int(time.time())

    code, out, err = run(
        *("issue", "--key", "private.pem", "--subject", "ann", "--scope", "order.*:own user.list"),
        *("--user-id", "7", "--expires-in", "2h", *IDENTITY),
    )
    _, shown, _ = run("inspect", "--json", stdin=out)

    assert (code, err, out.count("\n"), out.count(".")) == (0, "", 1, 2)
    found = loads(shown.encode())["claims"]
    assert before_s <= found["iat"] <= time.time()
    assert found.pop("exp") - found.pop("iat") == 7_200
    assert len(found.pop("jti")) == 36
    assert found == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "scope": "order.*:own user.list",
        "orderd_user_id": 7,
    }


def test_a_token_as_json_is_not_masked(run: Run) -> None:
    run("keygen", "--kid", "k")

    _, out, _ = run(
        *("issue", "--key", "private.pem", "--kid", "k", "--subject", "s", "--scope", "*"),
        *IDENTITY,
        "--json",
    )

    told = loads(out.encode())
    assert told["token"].count(".") == 2
    assert (told["kid"], told["subject"]) == ("k", "s")
    assert told["expires_at"].endswith("Z")


@pytest.mark.usefixtures("configured")
def test_issuer_and_audience_are_those_of_the_settings(run: Run) -> None:
    run("keygen")

    found = loads(run("inspect", "--json", stdin=issued(run))[1].encode())["claims"]

    assert (found["iss"], found["aud"]) == (ISSUER, AUDIENCE)


@pytest.mark.usefixtures("configured")
def test_what_is_doubtful_is_said_and_the_token_is_printed(run: Run, place: Path) -> None:
    run("keygen")
    (place / "other").mkdir()
    run("keygen", "--out", "other", "--kid", "other")

    ask = ("issue", "--subject", "s", "--scope", "*")
    long = run(*ask, "--key", "private.pem", "--expires-in", "25h")
    unknown = run(*ask, "--key", "other/private.pem", "--kid", "other")
    elsewhere = run(*ask, "--key", "private.pem", "--audience", "billing")

    assert all(code == 0 and out.count(".") == 2 for code, out, _ in (long, unknown, elsewhere))
    assert long[2].startswith("the token is valid for 25h, and cannot be revoked without its key")
    assert unknown[2] == (
        "the daemon would not accept the token: auth has an unknown key: kid 'other'\n"
    )
    assert elsewhere[2].endswith("auth has the wrong audience\n")


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--scope", "ordr.create"), 2, "--scope 'ordr.create': must be QUEUE.ACTION"),
        (("--scope", "order.*:own"), 2, "--scope has :own, which needs --user-id"),
        (("--subject", ""), 2, "must have 1 to 255 printable characters"),
        (("--subject", "a\nb"), 2, "must have 1 to 255 printable characters"),
        (("--user-id", "0"), 2, "must be a whole number from 1 to"),
        (("--expires-in", "0s"), 2, "must be from 1s to 3650d"),
        (("--expires-in", "soon"), 2, "soon"),
        (("--key", "no.pem"), 1, "no.pem: No such file or directory"),
        (("--key", "jwks.json"), 1, "jwks.json: is a JWKS"),
    ],
)
@pytest.mark.usefixtures("configured")
def test_what_cannot_be_issued_is_refused(
    run: Run, arguments: tuple[str, ...], code: int, why: str
) -> None:
    run("keygen")

    ended, out, err = run(
        *("issue", "--key", "private.pem", "--subject", "s", "--scope", "*"), *arguments
    )

    assert (ended, out) == (code, "")
    assert why in err


def test_without_settings_issuer_and_audience_have_to_be_given(run: Run) -> None:
    run("keygen")

    code, out, err = run("issue", "--key", "private.pem", "--subject", "s", "--scope", "*")

    assert (code, out) == (2, "")
    assert "--issuer is missing, and the settings have no [jwt] with one" in err


# When the tests are collected: they may run much later.
NOW_S = int(time.time())
GOOD = claims(iat=NOW_S, exp=NOW_S + 86_400)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (token(claims(iat=1, exp=2)), "auth has expired"),
        (token(GOOD, kid="k9"), "auth has an unknown key: kid 'k9'"),
        (token({**GOOD, "aud": "billing"}), "auth has the wrong audience"),
        (token({**GOOD, "iss": "me"}), "auth has the wrong issuer"),
        (token(GOOD)[:-4] + "AAAA", "auth has a wrong signature"),
        (token({**GOOD, "iat": NOW_S + 43_200}), "auth is not valid yet"),
        (token(GOOD, typ="JWE"), "auth is malformed: typ must be JWT or at+jwt; got 'JWE'"),
        (token(GOOD, alg="none"), "auth has an algorithm that is not allowed: 'none'"),
        ("s3cret", "auth is malformed: it must be three parts of base64url, joined by dots"),
        ("a" * 20_000, "auth is malformed: it has 20000 characters; at most 16384 are allowed"),
    ],
)
def test_what_the_daemon_would_say_is_said_and_the_token_never(
    run: Run, configured: Path, one: str, reason: str
) -> None:
    configured.write_bytes(jwks(jwk("EdDSA")))

    code, out, err = run("inspect", stdin=one)
    _, document, _ = run("inspect", "--json", stdin=one)

    assert (code, err) == (1, "")
    assert f"verdict  not accepted: {reason}" in " ".join(out.split("\n")).replace("   ", "  ")
    assert loads(document.encode())["reason"] == reason
    parts = [part for part in one.split(".") if len(part) > 5]
    assert not any(part in out + document for part in parts)


def test_what_cannot_be_checked_is_no_success(run: Run, configured: Path) -> None:
    code, out, _ = run("inspect", stdin=token(GOOD))
    _, document, _ = run("inspect", "--json", stdin=token(GOOD))

    assert code == 3
    assert "not checked: jwt.keys" in out
    assert loads(document.encode())["valid"] is None
    # Without any key it is known to be of no use.
    assert run("inspect", stdin=token(claims(iat=1, exp=2)))[0] == 1
    assert not configured.exists()


def test_without_keys_and_tokens_nothing_is_checked(run: Run) -> None:
    for one in (token({**GOOD, "iss": "any", "aud": ["other"]}), "s3cret"):
        code, out, _ = run("inspect", stdin=one)

        assert code == 3
        assert "not checked: neither keys nor tokens are in force here" in out


def test_another_token_is_known_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = sha256(b"s3cret").hexdigest()
    tokens = json.dumps({"shop": {"sha256": digest, "allow": ["order.create", "product.*"]}})
    monkeypatch.setenv("ORDERD_TOKENS", tokens)

    code, out, _ = run("inspect", "--json", stdin="Bearer s3cret")
    wrong, _, _ = run("inspect", stdin="guess")

    assert (code, wrong) == (0, 1)
    found = loads(out.encode())
    assert found["claims"] == {"name": "shop", "scope": "order.create product.*"}
    assert "s3cret" not in out


def test_words_of_a_scope_that_mean_nothing_are_said(run: Run, configured: Path) -> None:
    configured.write_bytes(jwks(jwk("EdDSA")))

    code, _, err = run("inspect", stdin=token({**GOOD, "scope": "openid order.create"}))

    assert code == 0
    assert err.startswith("scope 'openid': must be QUEUE.ACTION")


def test_times_are_told_as_such(run: Run) -> None:
    _, out, _ = run("inspect", stdin=token(claims(iat=0, exp=10**15, nbf=1.5)))

    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["iat", "1970-01-01T00:00:00.000000Z"] in lines
    assert ["nbf", "1970-01-01T00:00:01.500000Z"] in lines
    assert ["exp", "1000000000000000"] in lines


def test_a_token_among_the_arguments_is_taken_with_a_remark(run: Run) -> None:
    code, out, err = run("inspect", token(GOOD))

    assert code == 3
    assert "shop" in out
    assert "can be seen in the list of processes" in err


@pytest.mark.parametrize("stdin", ["", "  \n", "Bearer \n"])
def test_no_token_is_wrong_usage(run: Run, stdin: str) -> None:
    assert run("inspect", stdin=stdin)[0] == 2


def test_a_token_where_none_belongs_is_not_repeated(run: Run) -> None:
    one = token(GOOD)

    code, out, err = run("issue", one, "--expires-in", one)

    assert code == 2
    assert one.split(".")[2] not in out + err
