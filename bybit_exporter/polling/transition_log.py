"""Logs the results of jobs. A lasting state is logged when it begins, when it changes and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from .. import durations
from ..bybit.errors import BANNED_ADVICE, UNKNOWN_STATUS_ADVICE, quote
from ..model import (
    EXPIRES_SOON_SECONDS,
    Account,
    AccountSnapshot,
    AccountStatus,
    ApiKey,
    Failure,
    FailureReason,
    JobResult,
    MarketPrices,
    Resource,
    Secret,
    Subaccount,
    SubaccountStatus,
)
from .refused_keys import Credentials, RefusedKeys, credentials_of

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

Log = structlog.stdlib.BoundLogger


@dataclass(slots=True)
class LoggedState:
    """The state of one resource of an account, as it was last logged."""

    account: Account | None
    log: Log
    failure: tuple[FailureReason, str, Account | None] | None = None
    """With the account: after a change of its configuration, a failure is logged again."""
    failed_at: float = 0.0
    failing_subaccounts: set[str] = field(default_factory=set)
    status: tuple[AccountStatus, str] = (AccountStatus.NORMAL, "")
    unlisted: set[str] = field(default_factory=set)
    """Configured coins that the exchange did not list in the wallet."""
    unknown: set[str] = field(default_factory=set)
    """Those of them that the exchange does not list anywhere."""
    key: Secret | None = None
    key_warnings: frozenset[str] = frozenset()
    subaccounts: Mapping[str, tuple[SubaccountStatus, str]] = field(default_factory=dict)
    """The subaccounts that were not normal."""


class TransitionLog:
    """Compares each result with what was logged before, and logs what changed. Results of one job do not overlap."""

    def __init__(self) -> None:
        self._states: dict[tuple[Resource, str], LoggedState] = {}
        self._names_by_key: dict[Credentials, list[str]] = {}
        self._refused_keys = RefusedKeys()
        self._market_coins: frozenset[str] | None = None
        """The coins of the spot market; None before they have been read."""

    def retain(self, accounts: Iterable[Account], *, keep: bool = True) -> None:
        """Forgets all accounts but these; everything, unless ``keep`` is true."""
        known, self._names_by_key = {""}, {}
        for account in accounts:
            known.add(account.name)
            self._names_by_key.setdefault(credentials_of(account), []).append(account.name)
        self._refused_keys.retain(self._names_by_key if keep else ())
        self._states = {key: each for key, each in list(self._states.items()) if keep and key[1] in known}
        self._market_coins = self._market_coins if keep else None

    def record(self, result: JobResult[Any], next_run_timestamp: float) -> None:
        """Logs what a result changes. ``next_run_timestamp`` is the Unix time of the job's next run."""
        state = self._state_of(result)
        if isinstance(result.outcome, Failure):
            self._record_failure(state, result, result.outcome, next_run_timestamp - result.ended_timestamp)
            return
        self._record_success(state, result)
        if record_value := _RECORD_VALUE.get(result.resource):
            record_value(self, state, result)

    def _state_of(self, result: JobResult[Any]) -> LoggedState:
        account = result.account
        key = (result.resource, account.name if account else "")
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = LoggedState(account, _logger_of(account))
        elif state.account is not account:  # its configuration has changed
            state.account, state.log = account, _logger_of(account)
        return state

    def _record_failure(
        self, state: LoggedState, result: JobResult[Any], failure: Failure, next_in_seconds: float
    ) -> None:
        if failure.refuses_key and state.account:
            self._record_refused_key(state, state.account, failure, result.ended_at, next_in_seconds)
            return
        if result.subaccount and failure.is_unavailable:  # that one is gone; the others can be read
            state.log.debug("a subaccount is gone", subaccount=result.subaccount, error=failure.message)
            return
        if result.subaccount:
            already_failing = bool(state.failing_subaccounts)
            state.failing_subaccounts.add(result.subaccount)
            if already_failing:  # logged once, whichever subaccounts fail
                return
        current = (failure.reason, failure.code, state.account)
        if current == state.failure:
            _log_still_failing(state, failure)
            return
        if state.failure is None:
            state.failed_at = result.ended_at
        state.failure = current
        name = result.resource.value
        if failure.is_unavailable:
            state.log.warning(f"the {name} are not available here", **_fields_of(failure, next_in_seconds))
        else:
            log = state.log.error if failure.needs_operator else state.log.warning
            log(f"the {name} cannot be read", **_fields_of(failure, next_in_seconds))

    def _record_refused_key(
        self, state: LoggedState, account: Account, failure: Failure, now: float, next_in_seconds: float
    ) -> None:
        """Logs one line for a key, whatever is read with it and for however many accounts."""
        key = credentials_of(account)
        if not self._refused_keys.add(key, failure.code, now):
            _log_still_failing(state, failure)
            return
        names = ", ".join(self._names_by_key.get(key, ()))
        _log.error("the exchange refuses the key", accounts=names, **_fields_of(failure, next_in_seconds))

    def _record_success(self, state: LoggedState, result: JobResult[Any]) -> None:
        key = credentials_of(state.account) if state.account else None
        if key and (refused_since := self._refused_keys.remove(key)) is not None:
            names = ", ".join(self._names_by_key.get(key, ()))
            lasted = durations.show(round(result.ended_at - refused_since))
            _log.info("the exchange accepts the key again", accounts=names, lasted=lasted)
        state.failing_subaccounts.discard(result.subaccount)
        if state.failure is not None and not state.failing_subaccounts:
            lasted = durations.show(round(result.ended_at - state.failed_at))
            name, reason = result.resource.value, state.failure[0].value
            state.log.info(f"the {name} can be read again", reason=reason, lasted=lasted)
            state.failure = None

    def _record_wallet(self, state: LoggedState, result: JobResult[AccountSnapshot]) -> None:
        assert isinstance(result.outcome, AccountSnapshot)
        _log_status(state, result.outcome)
        if result.outcome.unlisted_coins:
            state.unlisted.update(result.outcome.unlisted_coins)
            self._log_unknown_coins(state)

    def _record_prices(self, state: LoggedState, result: JobResult[MarketPrices]) -> None:
        assert isinstance(result.outcome, MarketPrices)
        self._market_coins = result.outcome.coins
        for each in list(self._states.values()):
            self._log_unknown_coins(each)

    def _log_unknown_coins(self, state: LoggedState) -> None:
        """Logs the coins that are neither in the wallet nor in the market: they may be typos."""
        if self._market_coins is None:
            return
        for coin in sorted(state.unlisted - self._market_coins - state.unknown):
            state.unknown.add(coin)
            state.log.warning(
                "the exchange does not know this coin: its balance is shown as 0; is it a typo?", coin=coin
            )

    def _record_api_key(self, state: LoggedState, result: JobResult[ApiKey]) -> None:
        assert state.account is not None
        assert isinstance(result.outcome, ApiKey)
        key = result.outcome
        if state.key != state.account.api_key:
            state.key, state.key_warnings = state.account.api_key, frozenset()
        warnings = frozenset(_key_warnings(key, result.ended_timestamp))
        for warning in sorted(warnings - state.key_warnings):
            left = max(0.0, (key.expiry_timestamp or 0.0) - result.ended_timestamp)
            fields = {"expires_in": durations.show(round(left))} if warning == KEY_EXPIRES_SOON else {}
            state.log.warning(warning, **fields)
        state.key_warnings = warnings

    def _record_subaccounts(self, state: LoggedState, result: JobResult[Sequence[Subaccount]]) -> None:
        assert not isinstance(result.outcome, Failure)
        members = {each.name: each for each in result.outcome}
        _log_subaccounts(state, members)
        balances = self._states.get((Resource.SUBACCOUNT_BALANCES, state.account.name if state.account else ""))
        if balances:
            balances.failing_subaccounts &= members.keys()


_RECORD_VALUE: Mapping[Resource, Callable[[TransitionLog, LoggedState, JobResult[Any]], None]] = {
    Resource.WALLET: TransitionLog._record_wallet,
    Resource.PRICES: TransitionLog._record_prices,
    Resource.API_KEY: TransitionLog._record_api_key,
    Resource.SUBACCOUNTS: TransitionLog._record_subaccounts,
}

KEY_CAN_WITHDRAW = "this key may withdraw: make a read-only one for the exporter, and delete this one"
KEY_CAN_WRITE = "this key can do more than read: make a read-only one for the exporter, and delete this one"
KEY_EXPIRES_SOON = "the key expires soon: make a new one"


def _key_warnings(key: ApiKey, now_timestamp: float) -> list[str]:
    warnings = []
    if not key.read_only:
        warnings.append(KEY_CAN_WITHDRAW if key.can_withdraw else KEY_CAN_WRITE)
    if key.expiry_timestamp is not None and key.expiry_timestamp - now_timestamp < EXPIRES_SOON_SECONDS:
        warnings.append(KEY_EXPIRES_SOON)
    return warnings


def _log_status(state: LoggedState, snapshot: AccountSnapshot) -> None:
    status = (snapshot.status, snapshot.raw_status)
    if status == state.status:
        return
    raw = quote(snapshot.raw_status)
    if snapshot.status is AccountStatus.BANNED:
        state.log.error("the exchange reports the account as banned", exchange_status=raw, advice=BANNED_ADVICE)
    elif snapshot.status is AccountStatus.UNKNOWN:
        state.log.warning(
            "the exchange reports an undocumented status", exchange_status=raw, advice=UNKNOWN_STATUS_ADVICE
        )
    elif state.status[0] is not AccountStatus.NORMAL:
        state.log.info("the exchange reports the account as normal again")
    state.status = status


def _log_subaccounts(state: LoggedState, members: Mapping[str, Subaccount]) -> None:
    restricted = {
        name: (each.status, each.raw_status)
        for name, each in members.items()
        if each.status is not SubaccountStatus.NORMAL
    }
    for name, (status, raw) in restricted.items():
        if state.subaccounts.get(name) == (status, raw):
            continue
        if status is SubaccountStatus.UNKNOWN:
            state.log.warning(
                "the exchange reports an undocumented status of a subaccount", subaccount=name, status=raw
            )
        else:
            state.log.error("the exchange restricts a subaccount", subaccount=name, status=status.value)
    for name in (state.subaccounts.keys() - restricted.keys()) & members.keys():
        state.log.info("the exchange reports the subaccount as normal again", subaccount=name)
    state.subaccounts = restricted


def _fields_of(failure: Failure, next_in_seconds: float) -> dict[str, Any]:
    fields = {
        "reason": failure.reason.value,
        "error": failure.message,
        "advice": failure.advice,
        "next_poll_in": durations.show(round(next_in_seconds) or next_in_seconds),
    }
    return fields | ({"exc_info": failure.cause} if failure.cause else {})


def _log_still_failing(state: LoggedState, failure: Failure) -> None:
    state.log.debug("still failing", reason=failure.reason.value, error=failure.message)


def _logger_of(account: Account | None) -> Log:
    if account is None:
        return _log
    return _log.bind(account=account.name, account_type=account.account_type.value)
