"""The Secret of a store sets credentials in the driver's environment, and nothing by which its author could run code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparksweep_core.contract.driver_config import DRIVER_CANNOT_START
from sparksweep_core.contract.environment import TERMINATION_LOG_ENV
from sparksweep_trainer.kubernetes import __main__ as process
from sparksweep_trainer.kubernetes.store_credentials import (
    GOOGLE_KEY_ENV,
    MAX_BYTES,
    VARIABLES,
    foreign_server,
    take_credentials,
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    directory = tmp_path / "secret"
    directory.mkdir()
    return directory


def mounted(secret: Path, keys: dict[str, str | bytes]) -> None:
    """Write files as the kubelet does: links to links to the files of a version."""
    version = secret / "..2026_01_01"
    version.mkdir()
    (secret / "..data").symlink_to(version.name)
    for name, value in keys.items():
        (version / name).write_bytes(value if isinstance(value, bytes) else value.encode())
        (secret / name).symlink_to(f"..data/{name}")


def take(secret: Path, scratch: Path) -> tuple[dict[str, str], list[str]]:
    environment: dict[str, str] = {}
    return environment, take_credentials(secret, environment, scratch=scratch)


def test_credentials_arrive(secret: Path, tmp_path: Path) -> None:
    keys = {name: f"value of {name}" for name in VARIABLES}
    mounted(secret, {**keys, "notes.txt": "x", "AWS_REGION": "eu-1\n"})
    environment, refused = take(secret, tmp_path)
    assert environment == {**keys, "AWS_REGION": "eu-1"}
    assert refused == []


REFUSED = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT",
    "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_HOME", "CLASSPATH", "PATH", "HOME", "BASH_ENV",
    "ENV", "SPARK_HOME", "SPARK_CONF_DIR", "SPARK_DIST_CLASSPATH", "PYSPARK_PYTHON", "HADOOP_HOME", "HADOOP_CONF_DIR",
    "ARROW_LIBHDFS_DIR", "SPARKSWEEP_API_SERVER", "SPARKSWEEP_API_TOKEN_FILE", "SPARKSWEEP_DRIVER_CONFIG", "POD_NAME",
    "POD_IP", "KUBERNETES_SERVICE_HOST", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_STS", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "GOOGLE_CLOUD_CPP_LOG_CONFIG",
    "GCE_METADATA_ROOT", "HTTPS_PROXY", "SSL_CERT_FILE", "KRB5_CONFIG", "OPENSSL_CONF", "GCONV_PATH", "MALLOC_CONF",
    "NSS_WRAPPER_PASSWD", "aws_access_key_id", "TMPDIR", "LOCPATH", "NODE_OPTIONS", "GIT_SSH_COMMAND",
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_variables_are_refused_by_name(name: str, secret: Path, tmp_path: Path) -> None:
    mounted(secret, {name: "/etc/sparksweep/storage", "AWS_REGION": "eu-1"})
    environment, refused = take(secret, tmp_path)
    assert environment == {"AWS_REGION": "eu-1"}
    (message,) = refused
    assert message.startswith(f"{name}: is not among the variables")
    assert "AWS_ACCESS_KEY_ID" in message


ACCOUNT = {"type": "service_account", "private_key": "k", "token_uri": "https://example.org"}
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.mark.parametrize("kind", ["service_account", "authorized_user"])
@pytest.mark.parametrize("relative", [False, True])
def test_googles_file_is_checked_and_copied(
    kind: str, relative: bool, secret: Path, tmp_path: Path
) -> None:
    path = "key.json" if relative else f"{secret}/key.json"
    mounted(secret, {GOOGLE_KEY_ENV: path, "key.json": json.dumps({**ACCOUNT, "type": kind})})
    environment, refused = take(secret, tmp_path)
    assert refused == []
    copy = Path(environment[GOOGLE_KEY_ENV])
    assert copy.parent == tmp_path
    assert copy.stat().st_mode & 0o777 == 0o600
    assert json.loads(copy.read_text()) == {**ACCOUNT, "type": kind}


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (TOKEN, "{}", "must be a key of the same Secret"),
        ("../token", "{}", "must be a key of the same Secret"),
        ("..", "{}", "must be a key of the same Secret"),
        ("", "{}", "must be a key of the same Secret"),
        ("key.json", "no JSON", "is no JSON"),
        ("key.json", "[]", 'has the type "None"'),
        ("key.json", json.dumps({"type": "external_account", "credential_source": {"file": TOKEN}}), "external_account"),
        ("key.json", '{"type": "external_account", "credential_source": {"executable": {"command": "id"}}}', "external_account"),
        ("key.json", '{"type": "impersonated_service_account"}', "impersonated_service_account"),
        ("key.json", '{"type": "gdch_service_account"}', "gdch_service_account"),
        ("key.json", '{"type": ["service_account"]}', "has the type"),
        ("absent.json", "{}", "No such file"),
    ],
)  # fmt: skip
def test_a_google_file_that_names_other_files_or_commands_is_refused(
    path: str, content: str, reason: str, secret: Path, tmp_path: Path
) -> None:
    mounted(secret, {GOOGLE_KEY_ENV: path, "key.json": content})
    environment, refused = take(secret, tmp_path)
    assert environment == {}
    assert reason in refused[0]
    assert refused[0].startswith(f"{GOOGLE_KEY_ENV}: ")


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b", b"a" * (MAX_BYTES + 1)])
def test_values_that_no_variable_can_hold_are_refused(
    value: bytes, secret: Path, tmp_path: Path
) -> None:
    mounted(secret, {"AWS_REGION": value})
    environment, refused = take(secret, tmp_path)
    assert environment == {}
    assert refused[0].startswith("AWS_REGION: ")


def test_without_a_secret_nothing_changes(tmp_path: Path) -> None:
    assert take(tmp_path / "absent", tmp_path) == ({}, [])


S3 = "s3://bucket/runs"
GS = "gs://bucket/runs"
SERVER = "endpoint_override=store.example:9000"
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("uri", "keys", "error"),
    [
        (S3, {}, None),
        (GS, {}, None),
        ("hdfs://host/runs", {}, None),
        ("file:///runs", {"AWS_ENDPOINT_URL": "http://evil"}, None),
        (GS, {"AWS_ENDPOINT_URL": "http://evil"}, None),
        (f"{S3}?{SERVER}", KEYS, None),
        (f"{S3}?{SERVER}", {**KEYS, "AWS_SESSION_TOKEN": "c"}, None),
        (S3, {**KEYS, "AWS_ENDPOINT_URL": "http://minio:9000"}, None),
        ("s3://key:secret@bucket/runs?" + SERVER, {}, None),
        (f"gs://anonymous@bucket/runs?{SERVER}", {}, None),
        (f"{GS}?{SERVER}", {GOOGLE_KEY_ENV: "key.json"}, None),
        # A Secret that holds something else, or a part of a credential, or an empty one.
        (f"{GS}?{SERVER}", {}, "the Secret must have GOOGLE_APPLICATION_CREDENTIALS"),
        (f"{GS}?{SERVER}&scheme=http", {"spark-secret": "x"}, "endpoint_override names the store's server"),
        (f"{GS}?endpoint%5Foverride=evil", KEYS, "the Secret must have GOOGLE_APPLICATION_CREDENTIALS"),
        (f"gs://@bucket/runs?{SERVER}", {}, "the Secret must have GOOGLE_APPLICATION_CREDENTIALS"),
        (f"{S3}?{SERVER}", {}, "the Secret must have AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (f"{S3}?{SERVER}", {"AWS_ACCESS_KEY_ID": "a"}, "the Secret must have AWS_ACCESS_KEY_ID"),
        (f"{S3}?{SERVER}", {**KEYS, "AWS_SECRET_ACCESS_KEY": "\n"}, "the Secret must have AWS_ACCESS_KEY_ID"),
        (f"{S3}?{SERVER}", {GOOGLE_KEY_ENV: "key.json"}, "the Secret must have AWS_ACCESS_KEY_ID"),
        (S3, {"AWS_ENDPOINT_URL": "http://evil"}, "AWS_ENDPOINT_URL names the store's server"),
        (S3, {"AWS_ENDPOINT_URL_S3": "http://evil"}, "AWS_ENDPOINT_URL_S3 names the store's server"),
        (S3, {"AWS_ENDPOINT_URL": "http://evil", "AWS_SESSION_TOKEN": "c"}, "AWS_ENDPOINT_URL names"),
    ],
)  # fmt: skip
def test_the_drivers_identity_is_shown_to_no_server_of_the_users_choice(
    uri: str, keys: dict[str, str], error: str | None, secret: Path, tmp_path: Path
) -> None:
    mounted(secret, {**keys, "key.json": json.dumps(ACCOUNT)})
    environment, _ = take(secret, tmp_path)
    refusal = foreign_server(uri, environment)
    assert (refusal is None) == (error is None), refusal
    if refusal is not None and error is not None:
        assert refusal.startswith("spec.storage.secretName: ")
        assert error in refusal


def test_a_driver_that_would_show_its_identity_does_not_start_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "last-words"
    monkeypatch.setenv(TERMINATION_LOG_ENV, str(words))
    settings = SimpleNamespace(storage_uri=f"{GS}?{SERVER}")
    monkeypatch.setattr(process, "load", lambda: settings)
    monkeypatch.setattr(process, "Application", lambda _: pytest.fail("it started"))
    assert process.main() == DRIVER_CANNOT_START
    assert "GOOGLE_APPLICATION_CREDENTIALS" in words.read_text()


def test_the_entry_point_takes_modules_from_the_image_alone(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "trainer_image" / "entrypoint.sh"
    (tmp_path / "sitecustomize.py").write_text("print('taken over')")
    (tmp_path / "sparksweep_trainer").mkdir()
    (tmp_path / "sparksweep_trainer" / "__init__.py").write_text("print('taken over')")
    for command in ("driver", "viewer"):
        done = subprocess.run(
            ["bash", str(script), command],
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(tmp_path),
                "PYTHONSTARTUP": str(tmp_path / "sitecustomize.py"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "taken over" not in done.stdout + done.stderr
