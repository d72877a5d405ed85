"""The operator's settings come from its environment."""

from __future__ import annotations

from sparksweep_operator.settings import Settings


def test_without_an_environment_there_are_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_each_setting_is_the_variable_of_its_name() -> None:
    settings = Settings.from_environment(
        {
            "SPARKSWEEP_TRAINER_IMAGE": "registry.example/trainer:2",
            "SPARKSWEEP_IMAGE_PULL_POLICY": "Never",
            "SPARKSWEEP_DRIVER_SERVICE_ACCOUNT": "drivers",
            "SPARKSWEEP_DRIVER_CPU": "1",
            "SPARKSWEEP_DRIVER_MEMORY": "3Gi",
        }
    )
    assert settings == Settings(
        trainer_image="registry.example/trainer:2",
        image_pull_policy="Never",
        driver_service_account="drivers",
        driver_cpu="1",
        driver_memory="3Gi",
    )


def test_an_empty_variable_is_as_none_and_others_do_not_matter() -> None:
    given = {"SPARKSWEEP_DRIVER_CPU": "", "SPARKSWEEP_OTHER": "1", "PATH": "/bin"}
    assert Settings.from_environment(given) == Settings()
