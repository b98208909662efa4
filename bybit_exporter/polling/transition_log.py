"""The log of what is read: what lasts is told when it begins, when it changes and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from .. import durations
from ..bybit.errors import BybitError, RetryPolicy, advice, resource_advice, quote
from ..model import (
    EXPIRES_SOON_SECONDS,
    Account,
    AccountSnapshot,
    AccountStatus,
    ApiKey,
    FailureReason,
    Secret,
    Subaccount,
    SubaccountStatus,
)

_log = structlog.get_logger()

ACCOUNT = "account"


@dataclass(slots=True)
class LoggedState:
    """What the log has last said of an account, or of something that is read beside it."""

    account: Account | None = None
    log: structlog.stdlib.BoundLogger | None = None
    """With the account's name; made once, since every poll asks for it."""
    failure: tuple[FailureReason, str, Account | None] | None = None
    """With the account as it was configured, so that a failure that outlasts a change of it is told again."""
    failed_at: float = 0.0
    status: tuple[AccountStatus, str] = (AccountStatus.NORMAL, "")
    unlisted: set[str] = field(default_factory=set)
    key: tuple[Secret | None, bool, bool] = (None, True, False)
    """Which it was, whether it was read-only, and whether it was to expire soon."""
    subaccounts: dict[str, tuple[SubaccountStatus, str]] = field(default_factory=dict)
    """Those that were not normal."""


class TransitionLog:
    """Remembers what it has told of each account and each reading. Calls for one of them do not overlap."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], LoggedState] = {}

    def keep(self, accounts: Iterable[Account]) -> None:
        """Forgets all accounts but these."""
        kept = {account.name for account in accounts} | {""}
        self._told = {key: told for key, told in list(self._told.items()) if key[0] in kept}

    def readable(self, account: Account | None, now: float, what: str = ACCOUNT) -> None:
        """Takes in a success."""
        told, log = self._of(account, what)
        if told.failure is not None:
            lasted = durations.show(round(now - told.failed_at))
            log.info(f"the {what} can be read again", reason=told.failure[0].value, lasted=lasted)
            told.failure = None

    def succeeded(self, account: Account, snapshot: AccountSnapshot, now: float) -> None:
        """Takes in a successful poll."""
        self.readable(account, now)
        told, log = self._of(account, ACCOUNT)
        self._status(told, log, snapshot)
        for coin in snapshot.unlisted_coins:
            if coin not in told.unlisted:
                told.unlisted.add(coin)
                log.warning("the exchange does not list this coin: its balance is shown as 0; is it a typo?", coin=coin)

    def failed(
        self, account: Account | None, error: BybitError, now: float, wait_seconds: float, what: str = ACCOUNT
    ) -> None:
        """Takes in a failure; it is asked again after the wait, or at the next interval."""
        told, log = self._of(account, what)
        failure = (error.reason, error.code, account)
        if failure == told.failure:
            log.debug("still failing", reason=error.reason.value, error=str(error))
            return
        if told.failure is None:
            told.failed_at = now
        told.failure = failure
        for_a_person = error.rule.retry is RetryPolicy.SLOW_RETRY or error.reason in (
            FailureReason.BANNED,
            FailureReason.INTERNAL,
        )
        (log.error if for_a_person else log.warning)(
            f"the {what} cannot be read",
            reason=error.reason.value,
            error=str(error),
            advice=advice(error, account.account_type) if account and what == ACCOUNT else resource_advice(error),
            next_poll_in=durations.show(round(wait_seconds) or wait_seconds),
            **({"exc_info": error.__cause__} if error.reason is FailureReason.INTERNAL else {}),
        )

    def _status(self, told: LoggedState, log: structlog.stdlib.BoundLogger, snapshot: AccountSnapshot) -> None:
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

    def key(self, account: Account, key: ApiKey, now_timestamp: float) -> None:
        """Takes in what the exchange says of an account's key (now in Unix time)."""
        told, log = self._of(account, ACCOUNT)
        left = None if key.expiry_timestamp is None else key.expiry_timestamp - now_timestamp
        expires_soon = left is not None and left < EXPIRES_SOON_SECONDS
        known, was_read_only, was_expiring = told.key
        if known != account.api_key:  # another one
            was_read_only, was_expiring = True, False
        if was_read_only and not key.read_only:
            log.warning("this key can do more than read: make a read-only one for the exporter, and delete this one")
        if expires_soon and not was_expiring:
            log.warning("the key expires soon: make a new one", expires_in=durations.show(max(0, round(left or 0))))
        told.key = account.api_key, key.read_only, expires_soon

    def subaccounts(self, account: Account, members: Sequence[Subaccount]) -> None:
        """Takes in the state of an account's subaccounts."""
        told, log = self._of(account, ACCOUNT)
        unwell = {each.name: (each.status, each.raw_status) for each in members if each.status != "normal"}
        for name, (status, raw) in unwell.items():
            if told.subaccounts.get(name) == (status, raw):
                continue
            if status is SubaccountStatus.UNKNOWN:
                log.warning("the exchange reports an undocumented status of a subaccount", subaccount=name, status=raw)
            else:
                log.error("the exchange restricts a subaccount", subaccount=name, status=status.value)
        for name in told.subaccounts.keys() - unwell.keys() & {each.name for each in members}:
            log.info("the exchange reports the subaccount as normal again", subaccount=name)
        told.subaccounts = unwell

    def _of(self, account: Account | None, what: str) -> tuple[LoggedState, structlog.stdlib.BoundLogger]:
        told = self._told.setdefault((account.name if account else "", what), LoggedState())
        if told.log is None or told.account is not account:
            told.account, told.log = account, _log
            if account:
                told.log = _log.bind(account=account.name, account_type=account.account_type.value)
        return told, told.log
