"""The log of the accounts: what lasts is told when it begins, when it changes and when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from . import durations
from .bybit.errors import BybitError, Then, quote
from .model import Account, AccountSnapshot, AccountStatus, AccountType, FailureReason

_log = structlog.get_logger()


@dataclass(slots=True)
class _Told:
    """What the log has last said of an account."""

    failure: tuple[FailureReason, str, Account] | None = None
    """With the account as it was configured, so that a failure that outlasts a change of it is told again."""
    failed_at: float = 0.0
    status: tuple[AccountStatus, str] = (AccountStatus.NORMAL, "")
    unlisted: set[str] = field(default_factory=set)


class Journal:
    """Remembers what it has told of each account. Calls for one account do not overlap."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, AccountType], _Told] = {}

    def keep(self, accounts: Iterable[Account]) -> None:
        """Forgets all accounts but these."""
        kept = {(account.name, account.account_type) for account in accounts}
        self._told = {key: told for key, told in self._told.items() if key in kept}

    def succeeded(self, account: Account, snapshot: AccountSnapshot, now: float) -> None:
        """Takes in a successful poll."""
        told, log = self._of(account)
        if told.failure is not None:
            lasted = durations.show(round(now - told.failed_at))
            log.info("the account can be read again", reason=told.failure[0].value, lasted=lasted)
            told.failure = None
        self._status(told, log, snapshot)
        for coin in snapshot.unlisted_coins:
            if coin not in told.unlisted:
                told.unlisted.add(coin)
                log.warning("the exchange does not list this coin: its balance is shown as 0; is it a typo?", coin=coin)

    def failed(self, account: Account, error: BybitError, now: float, wait_seconds: float) -> None:
        """Takes in a failed poll; the account is asked again after the wait, or at its next interval."""
        told, log = self._of(account)
        failure = (error.reason, error.code, account)
        if failure == told.failure:
            log.debug("still failing", reason=error.reason.value, error=str(error))
            return
        if told.failure is None:
            told.failed_at = now
        told.failure = failure
        for_a_person = error.rule.then is Then.RARELY or error.reason in (FailureReason.BANNED, FailureReason.INTERNAL)
        (log.error if for_a_person else log.warning)(
            "the account cannot be read",
            reason=error.reason.value,
            error=str(error),
            advice=error.rule.advice,
            next_poll_in=durations.show(round(wait_seconds) or wait_seconds),
            **({"exc_info": error.__cause__} if error.reason is FailureReason.INTERNAL else {}),
        )

    def _status(self, told: _Told, log: structlog.stdlib.BoundLogger, snapshot: AccountSnapshot) -> None:
        status = (snapshot.status, snapshot.raw_status)
        if status == told.status:
            return
        if snapshot.status is AccountStatus.BANNED:
            log.error("the exchange reports the account as banned", exchange_status=quote(snapshot.raw_status))
        elif snapshot.status is AccountStatus.UNKNOWN:
            log.warning("the exchange reports an undocumented status", exchange_status=quote(snapshot.raw_status))
        elif told.status[0] is not AccountStatus.NORMAL:
            log.info("the exchange reports the account as normal again")
        told.status = status

    def _of(self, account: Account) -> tuple[_Told, structlog.stdlib.BoundLogger]:
        told = self._told.setdefault((account.name, account.account_type), _Told())
        return told, _log.bind(account=account.name, account_type=account.account_type.value)
