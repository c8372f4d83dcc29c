"""TrainingService: decode, ask, encode. Errors are mapped at the boundary (shared.rpc); blocking calls run in threads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from services.train.catalogue import Catalogue
from services.train.datasets import Datasets
from services.train.job_wire import write_event, write_job
from services.train.jobs.logs import Logs
from services.train.jobs.queue import place_of
from services.train.jobs.record import JobRecord
from services.train.jobs.submission import Submission
from services.train.jobs.table import JobTable
from services.train.jobs.watch import Watch
from services.train.pages import PageRequest
from services.train.plan_wire import write_plan
from services.train.planning import Planner
from services.train.retention import Retention
from services.train.spec_wire import read_job_order, read_order, read_retraining
from services.train.wire import read_parts, write_base_model, write_dataset, write_import
from shared.names import check_id, check_job_id
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceServicer

_SUBMISSIONS: Final = 4  # at a time


class TrainingServicer(TrainingServiceServicer):
    """Takes datasets and training jobs."""

    def __init__(
        self,
        *,
        table: JobTable,
        watch: Watch,
        submission: Submission,
        planner: Planner,
        datasets: Datasets,
        retention: Retention,
        catalogue: Catalogue,
        logs: Logs,
        most_running: int,
    ) -> None:
        """Each part answers the calls that are named after it; `most_running` jobs run here at a time."""
        self._table = table
        self._watch = watch
        self._submission = submission
        self._planner = planner
        self._datasets = datasets
        self._retention = retention
        self._catalogue = catalogue
        self._logs = logs
        self._most_running = most_running
        # They wait for one another's turn: in threads of their own, so that no other call waits with them.
        self._submissions = ThreadPoolExecutor(_SUBMISSIONS, "submit")

    async def ImportDataset(
        self, request_iterator: AsyncIterator[pb.ImportDatasetRequest], context: Any
    ) -> pb.Dataset:
        """See training.proto."""
        return write_import(await self._datasets.import_parts(read_parts(request_iterator)))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        """See training.proto."""
        page = PageRequest(request.page_size, request.page_token, of="datasets")
        datasets, token = await asyncio.to_thread(self._datasets.page, page)
        return pb.ListDatasetsResponse(
            datasets=[write_dataset(each) for each in datasets], next_page_token=token
        )

    async def DeleteDataset(self, request: pb.DeleteDatasetRequest, context: Any) -> pb.DeleteDatasetResponse:
        """See training.proto."""
        return pb.DeleteDatasetResponse(deleted=await self._retention.delete(request.name))

    async def CreateTrainingJob(self, request: pb.CreateTrainingJobRequest, context: Any) -> pb.TrainingJob:
        """See training.proto."""
        order = read_job_order(request)
        take = self._submission.validate if request.validate_only else self._submission.submit
        return write_job(await self._submit(partial(take, order, request_id=request.request_id)))

    async def RetrainModel(self, request: pb.RetrainModelRequest, context: Any) -> pb.TrainingJob:
        """See training.proto."""
        asked = read_retraining(request)
        return write_job(
            await self._submit(partial(self._submission.retrain, asked, request_id=request.request_id))
        )

    async def PlanTrainingJob(self, request: pb.PlanTrainingJobRequest, context: Any) -> pb.TrainingPlan:
        """See training.proto."""
        order = read_order(request.spec, promote_to=request.promote_to)
        plan = await self._planner.plan(
            order,
            probes=not request.skip_probe,
            finds_suspects=request.find_suspects,
            draws_curve=request.learning_curve,
        )
        return write_plan(plan)

    async def GetTrainingJob(self, request: pb.GetTrainingJobRequest, context: Any) -> pb.TrainingJob:
        """See training.proto."""
        return await asyncio.to_thread(self._job_with_place, check_job_id(request.id))

    async def ListTrainingJobs(
        self, request: pb.ListTrainingJobsRequest, context: Any
    ) -> pb.ListTrainingJobsResponse:
        """See training.proto."""
        if request.model:
            check_id(request.model, field="model")
        page = PageRequest(request.page_size, request.page_token, of=f"jobs of {request.model}")
        jobs, token = await asyncio.to_thread(self._table.page, request.model, page)
        return pb.ListTrainingJobsResponse(jobs=[write_job(each) for each in jobs], next_page_token=token)

    async def WatchTrainingJob(
        self, request: pb.WatchTrainingJobRequest, context: Any
    ) -> AsyncIterator[pb.TrainingJob]:
        """See training.proto."""
        job_id = check_job_id(request.id)
        async for job in self._watch.follow(job_id, after_revision=request.after_revision):
            yield write_job(job)

    async def StopTrainingJob(self, request: pb.StopTrainingJobRequest, context: Any) -> pb.TrainingJob:
        """See training.proto."""
        stop = partial(JobRecord.stopped, now=datetime.now(UTC))
        return write_job(await asyncio.to_thread(self._table.change, check_job_id(request.id), stop))

    async def ListTrainingJobEvents(
        self, request: pb.ListTrainingJobEventsRequest, context: Any
    ) -> pb.ListTrainingJobEventsResponse:
        """See training.proto."""
        events = await asyncio.to_thread(self._table.events, check_job_id(request.id))
        return pb.ListTrainingJobEventsResponse(events=[write_event(each) for each in events])

    async def ReadTrainingJobLog(
        self, request: pb.ReadTrainingJobLogRequest, context: Any
    ) -> AsyncIterator[pb.TrainingJobLog]:
        """See training.proto."""
        parts = self._logs.read(check_job_id(request.id), attempt=request.attempt, follow=request.follow)
        async for part in parts:
            yield pb.TrainingJobLog(attempt=part.attempt, text=part.text)

    async def CancelTrainingJob(self, request: pb.CancelTrainingJobRequest, context: Any) -> pb.TrainingJob:
        """See training.proto."""
        cancel = partial(JobRecord.cancelled, now=datetime.now(UTC))
        return write_job(await asyncio.to_thread(self._table.change, check_job_id(request.id), cancel))

    async def ListBaseModels(
        self, request: pb.ListBaseModelsRequest, context: Any
    ) -> pb.ListBaseModelsResponse:
        """See training.proto."""
        entries = await asyncio.to_thread(self._catalogue.list)
        return pb.ListBaseModelsResponse(base_models=[write_base_model(each) for each in entries])

    async def _submit(self, take: Callable[[], JobRecord]) -> JobRecord:
        return await asyncio.get_running_loop().run_in_executor(self._submissions, take)

    def _job_with_place(self, job_id: str) -> pb.TrainingJob:
        job = self._table.job(job_id)
        return write_job(job, place_of(job, self._table, most_running=self._most_running))
