"""Queries in the background: their status, and cancelling them.

Source: posthog/clickhouse/client/execute_async.py, autumn 2026.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from posthog_warehouse.sandbox.clock import Clock

from .envelope import ApiError
from .query_answer import Answer


@dataclass
class Job:
    """One background query. Times are the sandbox's, UTC."""

    id: str
    team_id: int
    start_time: datetime
    expiration_time: datetime
    cache_key: str
    pickup_time: datetime | None = None
    end_time: datetime | None = None
    answer: Answer | None = None
    error: ApiError | None = None
    budget_left: int | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def complete(self) -> bool:
        """Whether it ended, well or not."""
        return self.end_time is not None

    def status(self, now: datetime, *, progress: bool = False) -> dict[str, Any]:
        """``query_status`` without ``results``."""
        # Messages of internal errors are not for clients: such a status has error without a message.
        shown = self.error if self.error is not None and self.error.status != 500 else None
        return {
            "id": self.id,
            "team_id": self.team_id,
            "complete": self.complete,
            "error": self.error is not None,
            "error_message": None if shown is None else shown.detail,
            "error_code": None if shown is None else shown.code,
            "query_async": True,
            "start_time": self.start_time,
            "pickup_time": self.pickup_time,
            "end_time": self.end_time,
            "expiration_time": self.expiration_time,
            "task_id": self.id,
            "insight_id": None,
            "dashboard_id": None,
            "query_progress": self._progress(now) if progress else None,
            "labels": None,
            "bytes_read": None if self.answer is None else self.answer.bytes_read,
            "budget_remaining_bytes": self.budget_left,
            "cache_key": self.cache_key,
            "query_scan": None,
        }

    def _progress(self, now: datetime) -> dict[str, Any]:
        elapsed = 0.0
        if self.pickup_time is not None:
            elapsed = ((self.end_time or now) - self.pickup_time).total_seconds()
        rows = 0 if self.answer is None else self.answer.rows_read
        return {
            "bytes_read": 0 if self.answer is None else self.answer.bytes_read,
            "rows_read": rows,
            "estimated_rows_total": rows,
            "time_elapsed": elapsed,
            "active_cpu_time": elapsed,
        }


class QueryJobs:
    """The background queries whose status can still be asked for. Used on the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def get(self, job_id: str) -> Job | None:
        """The job, unless it is unknown or expired."""
        self._forget_expired()
        return self._jobs.get(job_id)

    def start(self, job_id: str, team_id: int, cache_key: str, ttl: float) -> Job:
        """Note a new job; one of the same id is forgotten."""
        now = self._clock.now()
        job = Job(job_id, team_id, now, now + timedelta(seconds=ttl), cache_key)
        self._jobs[job_id] = job
        return job

    def finish(self, job: Job, ttl: float, *, answer: Answer | None, error: ApiError | None) -> None:
        """Note how a job ended. Its status lives on for ``ttl`` seconds."""
        job.end_time = self._clock.now()
        job.expiration_time = job.end_time + timedelta(seconds=ttl)
        job.answer = answer
        job.error = error

    def cancel(self, job_id: str, *, dequeue_only: bool) -> str:
        """Stop a job and say what was done, in PostHog's words. The status of a stopped job is gone."""
        job = self.get(job_id)
        if job is None:
            return "Cancelled query on clickhouse"
        if job.complete:
            return "Query already complete"
        if job.pickup_time is not None and dequeue_only:
            return "Query already running"
        del self._jobs[job_id]
        if job.task is not None:
            # ClickHouse in process cannot be told to stop: a running query ends by itself, unheard.
            job.task.cancel()
        return "Query task revoked" if job.pickup_time is None else "Cancelled query on clickhouse"

    def _forget_expired(self) -> None:
        now = self._clock.now()
        for job_id, job in list(self._jobs.items()):
            if job.complete and job.expiration_time <= now:
                del self._jobs[job_id]
