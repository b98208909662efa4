"""The base class of all jobs. A job reads one resource from the exchange at an interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from ... import clock
from ...bybit.client import Answer, Client
from ...bybit.errors import ERROR_RULES, INTERNAL, BybitError, ErrorRule, RetryPolicy, resource_advice
from ...bybit.rate_limiter import Closed
from ...model import STALE_AFTER_INTERVALS, Account, AccountType, Failure, FailureReason, JobResult, Resource

T = TypeVar("T")

MIN_INTERVAL_SECONDS = 60.0
"""Everything but the wallets is read at most this often."""

NOT_OFFERED = frozenset(
    rule for rule in ERROR_RULES if rule.reason in (FailureReason.ACCOUNT_MODE, FailureReason.REGION)
)
"""The exchange does not offer the request to this account, or on this host."""


class Job(ABC, Generic[T]):
    """Reads one resource at an interval, and fails on its own. Two jobs are equal if they read the same.

    A subclass sets `resource` and implements `read`. The job for prices has no account.
    """

    resource: ClassVar[Resource]
    start_share: ClassVar[float] = 0.1
    """The share of the permitted rate of requests that the first round of jobs of this kind uses."""
    unavailable_if: ClassVar[frozenset[ErrorRule]] = frozenset()
    """Failures that mean that the exchange does not offer this on this host, or not to this key."""
    account_type: AccountType | None = None
    """For a wallet: its type, or AUTO if it is not known yet."""
    subaccount: str = ""
    """The subaccount that the latest run has read, if any."""

    def __init__(self, account: Account | None, interval_seconds: float) -> None:
        self._account = account
        self.interval_seconds = interval_seconds
        """Between the moments at which the job can run. It runs at each of them, unless a delay skips some."""
        self._was_read = False

    def __eq__(self, other: object) -> bool:
        mine = (self.resource, self._account, self.interval_seconds)
        return isinstance(other, Job) and mine == (other.resource, other._account, other.interval_seconds)

    @property
    def key(self) -> tuple[Resource, str]:
        """Identifies the job among those of one configuration."""
        return self.resource, self._account.name if self._account else ""

    @property
    def account(self) -> Account:
        """The account of the job."""
        assert self._account is not None
        return self._account

    @abstractmethod
    def read(self, client: Client) -> Answer[T]:
        """Asks the exchange. Raises BybitError for any failure."""

    def run(self, client: Client) -> JobResult[T] | None:
        """Asks the exchange and returns the result; None if there is nothing to read.

        Raises:
            Closed: a reload has replaced the client meanwhile.
        """
        started_at = clock.now()
        try:
            answer = self.read(client)
        except BybitError as error:
            return self._failed(error, started_at, client)
        except Closed:
            raise
        except Exception as error:
            fault = BybitError(INTERNAL, f"{type(error).__name__} in the exporter", code=type(error).__name__)
            fault.__cause__ = error
            return self._failed(fault, started_at, client)
        return self._succeeded(answer, started_at)

    def advice(self, error: BybitError) -> str:
        """What to tell the operator about a failure."""
        return resource_advice(error)

    def stale_after_seconds(self, answer: Answer[T]) -> float:
        """How long the answer may be shown. Reading many pages may take longer than the interval."""
        return STALE_AFTER_INTERVALS * max(self.interval_seconds, answer.received_at - answer.asked_at)

    def delay_after_success(self, answer: Answer[T]) -> float:
        """Seconds to wait after an answer before the next run; 0: until the next interval."""
        return 0.0

    def delay_after_failure(self, error: BybitError, server_now: float) -> float:
        """Seconds to wait after a failure before the next run; 0: until the next interval.

        ``server_now`` is Unix time by the exchange's clock.
        """
        wait = error.wait_seconds(server_now)
        return self.delay_to_run_in(wait) if error.rule.retry is RetryPolicy.SLOW_RETRY else wait

    def delay_to_run_in(self, seconds: float) -> float:
        """The delay after which the next run is the one that is nearest to this time."""
        return max(0.0, seconds - self.interval_seconds / 2)

    def idle_seconds(self) -> float:
        """How long to wait if there was nothing to read; 0: until its next interval."""
        return 0.0

    @property
    def has_unread(self) -> bool:
        """Whether another run would read a part that no run has read yet."""
        return False

    def _succeeded(self, answer: Answer[T], started_at: float) -> JobResult[T]:
        self._was_read = not self.subaccount  # the next run reads another subaccount, which may be gone
        return JobResult(
            self.resource,
            self._account,
            answer.result,
            # The figures may be as old as the request: the answer may have taken long to arrive.
            observed_at=answer.asked_at,
            # Not the current time: the process may have been suspended since the answer arrived.
            ended_at=answer.received_at,
            ended_timestamp=clock.timestamp_of(answer.received_at),
            duration_seconds=answer.received_at - started_at,
            stale_after_seconds=self.stale_after_seconds(answer),
            delay_seconds=self.delay_after_success(answer),
            rate_limits=answer.rate_limits,
            account_type=self.account_type,
            subaccount=self.subaccount,
        )

    def _failed(self, error: BybitError, started_at: float, client: Client) -> JobResult[T]:
        ended_at = clock.now()
        pauses_all = error.rule.retry is RetryPolicy.PAUSE_ALL
        return JobResult(
            self.resource,
            self._account,
            self.failure_of(error),
            observed_at=started_at,
            ended_at=ended_at,
            ended_timestamp=clock.timestamp_of(ended_at),
            duration_seconds=ended_at - started_at,
            delay_seconds=0.0 if pauses_all else self.delay_after_failure(error, client.clock.now()),
            pauses_all=pauses_all,
            rate_limits=error.rate_limits,
            account_type=self.account_type,
            subaccount=self.subaccount,
        )

    def failure_of(self, error: BybitError) -> Failure:
        """Converts an error for the store and the log, which show no error in another way.

        If a resource has been read before, failing to read it is a failure, not unavailability.
        """
        if self._account is not None:  # the exchange may repeat the key, as in retCode 10004
            error.redact(self._account.api_key.reveal())
        return Failure(
            error.reason,
            str(error),
            self.advice(error),
            error.code,
            needs_operator=error.needs_operator,
            refuses_key=error.refuses_key,
            is_unavailable=error.rule in self.unavailable_if and not self._was_read,
            cause=error.__cause__ if error.rule is INTERNAL else None,
        )
