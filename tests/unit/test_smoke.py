"""`make smoke UPDATING=yes`: the order of its checks. tests/stack/test_smoke.py runs them."""

from contextlib import nullcontext
from unittest.mock import MagicMock, call

import pytest

import deployed_stack
import smoke


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """The trial of a smoke test that makes no calls."""
    trial = MagicMock()
    monkeypatch.setattr(smoke, "Trial", lambda _: trial)
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(smoke, "signal", MagicMock())
    monkeypatch.setattr(deployed_stack, "listen", lambda *_: nullcontext("receive"))
    return trial


def update(monkeypatch: pytest.MonkeyPatch, *statuses: str) -> None:
    """Run the smoke test of an update. Its stack has these statuses, one after the other."""
    descriptions = iter([{"StackStatus": status} for status in statuses])
    monkeypatch.setattr(deployed_stack, "describe_stack", lambda _: next(descriptions))
    smoke.smoke("sessions-prod", updating=True)


def test_operations_that_the_earlier_version_may_lack_are_checked_after_the_update(
    trial: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(monkeypatch, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    checks = [call.check("receive")] * 3 + [call.check_latest()]
    assert [each for each in trial.mock_calls if each in checks] == checks


def test_the_smoke_test_of_an_update_fails_if_the_update_is_rolled_back(
    trial: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"^The update was rolled back: UPDATE_ROLLBACK_COMPLETE$"):
        update(monkeypatch, "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    trial.check_latest.assert_not_called()
    trial.remove_users.assert_called_once()
