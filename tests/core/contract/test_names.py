"""Names that one program makes and another one takes apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.contract import names

experiments = st.from_regex(r"\A[a-z]([-a-z0-9]{0,38}[a-z0-9])?\Z")
numbers = st.integers(0, 9999)


@given(experiments, numbers)
def test_a_drivers_number_is_read_from_its_name(experiment: str, number: int) -> None:
    name = names.driver_name(experiment, number)
    assert names.driver_number(name) == number
    assert names.executor_driver_number(name) is None


@given(experiments, numbers, st.integers(1, 10**6))
def test_an_executors_driver_is_read_from_its_name(
    experiment: str, number: int, executor: int
) -> None:
    start = names.executor_names_start(names.executor_prefix(experiment, number))
    name = f"{start}{executor}"
    assert names.executor_driver_number(name) == number
    assert names.driver_number(name) is None


@pytest.mark.parametrize(
    "name", ["", "node-1", "digits-exec-1", "digits-3-exec-", "digits-x-exec-1"]
)
def test_a_name_that_is_no_executors_has_no_driver(name: str) -> None:
    assert names.executor_driver_number(name) is None


def test_the_names_are_those_that_people_type() -> None:
    assert names.driver_name("digits", 3) == "digits-driver-3"
    assert names.executor_names_start(names.executor_prefix("digits", 3)) == "digits-3-exec-"
    assert names.driver_config_name("digits", "0a1b") == "digits-config-0a1b"
    assert names.code_name("digits", "0a1b") == "digits-code-0a1b"
    assert names.tensorboard_name("digits") == "digits-tensorboard"


@given(experiments, numbers, st.binary(min_size=4, max_size=4))
def test_the_name_of_a_spark_secret_is_known_for_one(
    experiment: str, number: int, suffix: bytes
) -> None:
    driver = names.driver_name(experiment, number)
    assert len(suffix) == names.SPARK_SECRET_SUFFIX_BYTES
    assert names.is_spark_secret_name(names.spark_secret_name(driver, suffix.hex()))
    assert not names.is_spark_secret_name(driver)


@pytest.mark.parametrize("name", ["tracker", "db-driver-2", "jdbc-driver-12-password", "digits-0a1b2c3d"])  # fmt: skip
def test_a_users_secret_is_none_of_sparks(name: str) -> None:
    assert not names.is_spark_secret_name(name)
