"""ServiceAccount tokens: who gets in, and each way of not getting in."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_serving import tokens
from imagint_serving.gateway.rigs import ISSUER, KEY_ID, FakeIssuer
from imagint_serving.tokens import (
    PlatformKeysUnavailableError,
    TokenRefusedError,
    bearer,
    verify_service_account_token,
)

OPERATOR = "system:serviceaccount:imagint-system:imagint-controller"
AUDIENCE = "imagint-prober"


@pytest.fixture
def issuer(tmp_path: Path) -> FakeIssuer:
    return FakeIssuer(tmp_path / "platform.json")


def token(issuer: FakeIssuer, **claims: Any) -> str:
    return issuer.token(OPERATOR, **{"aud": [AUDIENCE], **claims})


def test_a_token_for_this_audience_names_its_subject(issuer: FakeIssuer) -> None:
    assert verify_service_account_token(token(issuer), AUDIENCE, issuer.path) == OPERATOR


def test_a_token_on_an_elliptic_curve_is_accepted_too(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "ec"}
    path = tmp_path / "platform.json"
    path.write_text(json.dumps({"issuer": ISSUER, "jwks": {"keys": [jwk]}}))
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": OPERATOR, "exp": int(time.time()) + 60}
    made = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "ec"})
    assert verify_service_account_token(made, AUDIENCE, path) == OPERATOR


PAST = int(time.time()) - 3600
REFUSED: dict[str, dict[str, Any]] = {
    "expired": {"exp": PAST},
    "not yet valid": {"nbf": PAST + 7200},
    "for another audience": {"aud": ["vault"]},
    "for no audience": {"aud": None},
    "of another issuer": {"iss": "https://elsewhere.test"},
    "of no issuer": {"iss": None},
    "without an end": {"exp": None},
    "without a subject": {"sub": None},
    "of a person": {"sub": "jane"},
    "with an end that is no time": {"exp": "never"},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_is_refused(issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefusedError):
        verify_service_account_token(token(issuer, **claims), AUDIENCE, issuer.path)


def forged(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(body).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


BODY = {"iss": ISSUER, "aud": AUDIENCE, "sub": OPERATOR, "exp": int(time.time()) + 600}
FORGED = {
    "nothing": "",
    "no JWT": "abc",
    "a very long text": "a" * 20_000,
    "unsigned": forged({"alg": "none", "kid": KEY_ID}, BODY),
    "signed with nothing": forged({"alg": "RS256", "kid": KEY_ID}, BODY),
    "naming no key": forged({"alg": "RS256"}, BODY),
    "naming a key that is no text": forged({"alg": "RS256", "kid": 1}, BODY),
    "naming an unknown key": forged({"alg": "RS256", "kid": "other"}, BODY),
}


@pytest.mark.parametrize("made", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(issuer: FakeIssuer, made: str) -> None:
    with pytest.raises(TokenRefusedError):
        verify_service_account_token(made, AUDIENCE, issuer.path)


def test_the_public_key_is_no_signing_secret(issuer: FakeIssuer) -> None:
    published = json.loads(issuer.path.read_text())["jwks"]["keys"][0]
    public = jwt.PyJWK(published).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": KEY_ID}
    signing = forged(header, BODY).rsplit(".", 1)[0]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing.encode(), public)
    with pytest.raises(TokenRefusedError):
        verify_service_account_token(forged(header, BODY, signature), AUDIENCE, issuer.path)


def test_a_token_signed_with_a_strangers_key_is_refused(issuer: FakeIssuer, tmp_path: Path) -> None:
    stranger = FakeIssuer(tmp_path / "stranger.json")
    with pytest.raises(TokenRefusedError):
        verify_service_account_token(token(stranger), AUDIENCE, issuer.path)


def test_no_message_repeats_the_token(issuer: FakeIssuer) -> None:
    made = token(issuer, exp=PAST)
    with pytest.raises(TokenRefusedError) as refusal:
        verify_service_account_token(made, AUDIENCE, issuer.path)
    assert not any(part in str(refusal.value) for part in made.split("."))


def test_rotated_keys_are_taken_up_from_the_file(issuer: FakeIssuer) -> None:
    verify_service_account_token(token(issuer), AUDIENCE, issuer.path)
    successor = FakeIssuer(issuer.path)  # writes its own keys over the old file
    assert verify_service_account_token(token(successor), AUDIENCE, issuer.path) == OPERATOR
    with pytest.raises(TokenRefusedError):
        verify_service_account_token(token(issuer), AUDIENCE, issuer.path)


def test_an_unknown_key_is_looked_up_again_though_the_file_seems_unchanged(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_service_account_token(token(issuer), AUDIENCE, issuer.path)
    known = tokens._cache[issuer.path]
    stale = type(known)(known.stamp, known.issuer, {})
    monkeypatch.setitem(tokens._cache, issuer.path, stale)
    assert verify_service_account_token(token(issuer), AUDIENCE, issuer.path) == OPERATOR


UNUSABLE = {
    "not there": None,
    "empty": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "without keys": b'{"issuer": "x", "jwks": {"keys": []}}',
    "with keys that are none": b'{"issuer": "x", "jwks": {"keys": [1]}}',
    "with a damaged key": b'{"issuer": "x", "jwks": {"keys": [{"kty": "RSA", "kid": "cluster-key", "n": "!"}]}}',
    "with a secret for a key": b'{"issuer": "x", "jwks": {"keys": [{"kty": "oct", "kid": "cluster-key", "k": "AA"}]}}',
    "without an issuer": b'{"issuer": 1, "jwks": {"keys": []}}',
    "too large": b" " * (tokens.MAX_PLATFORM_FILE + 1),
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_without_the_clusters_keys_nobody_gets_in(issuer: FakeIssuer, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "handed-over.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlatformKeysUnavailableError):
        verify_service_account_token(token(issuer), AUDIENCE, path)


@pytest.mark.parametrize(("header", "found"), [("Bearer abc", "abc"), ("bearer  abc ", "abc")])
def test_the_token_is_taken_out_of_the_header(header: str, found: str) -> None:
    assert bearer(header) == found


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer  "])
def test_a_header_without_a_bearer_token_is_refused(header: str | None) -> None:
    with pytest.raises(TokenRefusedError):
        bearer(header)
