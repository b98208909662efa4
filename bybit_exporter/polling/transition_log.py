"""Logs the results of jobs. A lasting state is logged when it begins, when it changes and when it ends."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
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
    Resource,
    Secret,
    Subaccount,
    SubaccountStatus,
)
from .refused_keys import Credentials, RefusedKeys, credentials_of

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class LoggedState:
    """One resource of an account, as it was last logged."""

    account: Account | None = None
    failure: tuple[FailureReason, str, Account | None] | None = None
    """With the account: after a change of its configuration, a failure is logged again."""
    is_unavailable: bool = False
    """Whether that failure said that the exchange does not offer the resource."""
    failed_at: float = 0.0

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        if self.account is None:
            return _log
        return _log.bind(account=self.account.name, account_type=self.account.account_type.value)


@dataclass(slots=True)
class LoggedWallet(LoggedState):
    """A wallet: the status of the account, and its coins that may be typos."""

    status: tuple[AccountStatus, str] = (AccountStatus.NORMAL, "")
    unlisted: set[str] = field(default_factory=set)
    """Configured coins that the exchange did not list in the wallet."""
    unknown: set[str] = field(default_factory=set)
    """Those of them that the exchange does not list anywhere."""

    def log_status(self, snapshot: AccountSnapshot) -> None:
        status = (snapshot.status, snapshot.raw_status)
        if status == self.status:
            return
        raw = quote(snapshot.raw_status)
        if snapshot.status is AccountStatus.BANNED:
            self.log.error("the exchange reports the account as banned", exchange_status=raw, advice=BANNED_ADVICE)
        elif snapshot.status is AccountStatus.UNKNOWN:
            self.log.warning(
                "the exchange reports an undocumented status", exchange_status=raw, advice=UNKNOWN_STATUS_ADVICE
            )
        elif self.status[0] is not AccountStatus.NORMAL:
            self.log.info("the exchange reports the account as normal again")
        self.status = status

    def log_unknown_coins(self, market_coins: frozenset[str] | None) -> None:
        """Logs the coins that are neither in the wallet nor in the market: they may be typos."""
        if market_coins is None:
            return
        for coin in sorted(self.unlisted - market_coins - self.unknown):
            self.unknown.add(coin)
            self.log.warning(
                "the exchange does not know this coin: its balance is shown as 0; is it a typo?", coin=coin
            )


@dataclass(slots=True)
class LoggedKey(LoggedState):
    """A key, and the warnings about it."""

    key: Secret | None = None
    warnings: Collection[str] = ()

    def log_warnings(self, key: ApiKey, now_timestamp: float) -> None:
        api_key = self.account.api_key if self.account else None
        logged = self.warnings if self.key == api_key else ()
        warnings = _key_warnings(key, now_timestamp)
        for warning, fields in warnings.items():
            if warning not in logged:
                self.log.warning(warning, **fields)
        self.key, self.warnings = api_key, warnings.keys()


@dataclass(slots=True)
class LoggedSubaccounts(LoggedState):
    """The list of subaccounts: those that were not normal, by name."""

    restricted: Mapping[str, tuple[SubaccountStatus, str]] = field(default_factory=dict)

    def log_statuses(self, members: Mapping[str, Subaccount]) -> None:
        restricted = {
            name: (each.status, each.raw_status)
            for name, each in members.items()
            if each.status is not SubaccountStatus.NORMAL
        }
        for name, (status, raw) in restricted.items():
            if self.restricted.get(name) == (status, raw):
                continue
            if status is SubaccountStatus.UNKNOWN:
                self.log.warning(
                    "the exchange reports an undocumented status of a subaccount", subaccount=name, status=raw
                )
            else:
                self.log.error("the exchange restricts a subaccount", subaccount=name, status=status.value)
        for name in (self.restricted.keys() - restricted.keys()) & members.keys():
            self.log.info("the exchange reports the subaccount as normal again", subaccount=name)
        self.restricted = restricted


@dataclass(slots=True)
class LoggedBalances(LoggedState):
    """The balances of all subaccounts: the names of those that cannot be read."""

    failing: set[str] = field(default_factory=set)


_STATES: Mapping[Resource, type[LoggedState]] = {
    Resource.WALLET: LoggedWallet,
    Resource.API_KEY: LoggedKey,
    Resource.SUBACCOUNTS: LoggedSubaccounts,
    Resource.SUBACCOUNT_BALANCES: LoggedBalances,
}


class TransitionLog:
    """Compares each result with what was logged before, and logs what changed. Results of one job do not overlap."""

    def __init__(self) -> None:
        self._states: dict[tuple[Resource, str], LoggedState] = {}
        self._names_by_key: dict[Credentials, list[str]] = {}
        self._refused_keys = RefusedKeys()
        self._market_coins: frozenset[str] | None = None
        """The coins of the spot market; None before they have been read."""

    def retain(self, accounts: Iterable[Account], *, keep: bool) -> None:
        """Forgets all accounts but these; all accounts if ``keep`` is false."""
        known, self._names_by_key = {""}, {}
        for account in accounts:
            known.add(account.name)
            self._names_by_key.setdefault(credentials_of(account), []).append(account.name)
        self._refused_keys.retain(self._names_by_key if keep else ())
        self._states = {key: each for key, each in list(self._states.items()) if keep and key[1] in known}
        self._market_coins = self._market_coins if keep else None

    def record(self, result: JobResult[Any], next_run_timestamp: float) -> None:
        """Logs what a result changes. ``next_run_timestamp`` is the Unix time of the job's next run."""
        key = result.resource, result.account.name if result.account else ""
        state = self._states.get(key) or self._states.setdefault(key, _STATES.get(result.resource, LoggedState)())
        state.account = result.account
        if isinstance(result.outcome, Failure):
            self._log_failure(state, result, result.outcome, next_run_timestamp - result.ended_timestamp)
        else:
            self._log_recovery(state, result)
            self._log_value(state, result, result.outcome)

    def _log_value(self, state: LoggedState, result: JobResult[Any], outcome: Any) -> None:
        if isinstance(state, LoggedWallet):
            state.log_status(outcome)
            state.unlisted.update(outcome.unlisted_coins)
            state.log_unknown_coins(self._market_coins)
        elif isinstance(state, LoggedKey):
            state.log_warnings(outcome, result.ended_timestamp)
        elif isinstance(state, LoggedSubaccounts):
            members = {each.name: each for each in outcome}
            state.log_statuses(members)
            balances = self._states.get((Resource.SUBACCOUNT_BALANCES, state.account.name if state.account else ""))
            if isinstance(balances, LoggedBalances):
                balances.failing &= members.keys()
        elif result.resource is Resource.PRICES:
            self._market_coins = outcome.coins
            for each in list(self._states.values()):
                if isinstance(each, LoggedWallet):
                    each.log_unknown_coins(self._market_coins)

    def _log_failure(
        self, state: LoggedState, result: JobResult[Any], failure: Failure, next_in_seconds: float
    ) -> None:
        if failure.refuses_key and state.account:
            self._log_refused_key(state, state.account, failure, result.ended_at, next_in_seconds)
            return
        if isinstance(state, LoggedBalances):
            if failure.is_unavailable:  # only this subaccount is gone; the others can be read
                state.log.debug("a subaccount is gone", subaccount=result.subaccount, error=failure.message)
                return
            already_failing = bool(state.failing)
            state.failing.add(result.subaccount)
            if already_failing:  # logged once, whichever subaccounts fail
                return
        current = (failure.reason, failure.code, state.account)
        if current == state.failure or (failure.concerns_any_request and state.is_unavailable):
            _log_still_failing(state, failure)
            return
        if state.failure is None:
            state.failed_at = result.ended_at
        state.failure, state.is_unavailable = current, failure.is_unavailable
        name = result.resource.value
        if failure.is_unavailable:
            state.log.warning(f"not available here: {name}", **_fields_of(failure, next_in_seconds))
        else:
            log = state.log.error if failure.needs_operator else state.log.warning
            log(f"the {name} cannot be read", **_fields_of(failure, next_in_seconds))

    def _log_refused_key(
        self, state: LoggedState, account: Account, failure: Failure, now: float, next_in_seconds: float
    ) -> None:
        """Logs one line for a key, whatever is read with it and for however many accounts."""
        key = credentials_of(account)
        if not self._refused_keys.add(key, failure.code, now):
            _log_still_failing(state, failure)
            return
        names = ", ".join(self._names_by_key.get(key, ()))
        _log.error("the exchange refuses the key", accounts=names, **_fields_of(failure, next_in_seconds))

    def _log_recovery(self, state: LoggedState, result: JobResult[Any]) -> None:
        key = credentials_of(state.account) if state.account else None
        if key and (refused_since := self._refused_keys.remove(key)) is not None:
            names = ", ".join(self._names_by_key.get(key, ()))
            lasted = durations.show(round(result.ended_at - refused_since))
            _log.info("the exchange accepts the key again", accounts=names, lasted=lasted)
        if isinstance(state, LoggedBalances):
            state.failing.discard(result.subaccount)
            if state.failing:
                return
        if state.failure is not None:
            lasted = durations.show(round(result.ended_at - state.failed_at))
            name, reason = result.resource.value, state.failure[0].value
            state.log.info(f"the {name} can be read again", reason=reason, lasted=lasted)
            state.failure, state.is_unavailable = None, False


KEY_CAN_WITHDRAW = "this key may withdraw: make a read-only one for the exporter, and delete this one"
KEY_CAN_WRITE = "this key can do more than read: make a read-only one for the exporter, and delete this one"
KEY_EXPIRES_SOON = "the key expires soon: make a new one"


def _key_warnings(key: ApiKey, now_timestamp: float) -> dict[str, dict[str, str]]:
    """The warnings about a key, and the fields of each."""
    warnings: dict[str, dict[str, str]] = {}
    left = math.inf if key.expiry_timestamp is None else key.expiry_timestamp - now_timestamp
    if left < EXPIRES_SOON_SECONDS:
        warnings[KEY_EXPIRES_SOON] = {"expires_in": durations.show(round(max(0.0, left)))}
    if not key.read_only:
        warnings[KEY_CAN_WITHDRAW if key.can_withdraw else KEY_CAN_WRITE] = {}
    return warnings


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
