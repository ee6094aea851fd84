"""Who is served when: visitors take turns, so that nobody waits for all that another has queued.

Gradio's queue serves each function's events in order of arrival. Here, whichever event is waiting of the visitor who has the fewest running
goes first; one visitor has a few running at most, and a bounded number waiting. An open page is a visitor; programs that call the
API open no page, so all of one address are one.
"""

from collections import Counter

import gradio as gr
from gradio.context import LocalContext
from gradio.queueing import Event, Queue

RUNNING = 4  # events of one visitor at once: scoring, loading a model, and stopping that
WAITING = 50  # events of one visitor in the queue
WAITING_OF_ADDRESS = 200  # of all visitors of one address, which may be a whole office
TOO_MANY = "Too much of yours is waiting already ({} calls): wait for some of it to finish, then try again."


class FairQueue(Queue):
    """Gradio's queue, by visitors."""

    async def push(self, body, request, username):
        arriving = Event(body.session_hash, self.blocks.fns.get(body.fn_index), request, username)
        waiting = [event for queue in self.event_queue_per_concurrency_id.values() for event in queue.queue]
        mine = sum(visitor(event) == visitor(arriving) for event in waiting)
        if mine >= WAITING:
            return False, TOO_MANY.format(mine), "error"
        neighbours = sum(address(event) == address(arriving) for event in waiting)
        if neighbours >= WAITING_OF_ADDRESS:
            return False, TOO_MANY.format(neighbours), "error"
        return await super().push(body, request, username)

    def get_events(self):
        running = Counter(visitor(event) for job in self.active_jobs if job for event in job)
        queues = self.event_queue_per_concurrency_id
        waiting = [(event, name) for name, queue in queues.items() for event in queue.queue]
        ready = [(event, name) for event, name in waiting if running[visitor(event)] < RUNNING]
        if not ready:
            return None
        event, name = min(ready, key=lambda found: (running[visitor(found[0])], found[0].enqueue_time))
        queues[name].queue.remove(event)
        return [event], False, name


def visitor(event: Event) -> tuple[str, str]:
    """Who sent an event."""
    if event.fn and event.fn.api_visibility == "public":
        return "program", address(event)
    return "page", event.session_hash


def address(event: Event) -> str:
    return event.request.client.host if event.request.client else ""


def use_fair_queue(page: gr.Blocks) -> None:
    """Give the page this queue. Its events have no limits of their own: what is scarce is shared out where it is used."""
    page.queue(default_concurrency_limit=None)
    page._queue = FairQueue(
        live_updates=True,
        concurrency_count=page.max_threads,
        update_intervals=1,
        max_size=None,
        blocks=page,
        default_concurrency_limit=None,
    )


def page_is_gone() -> bool:
    """Whether whoever sent the event that is being worked on has closed the page or the connection meanwhile."""
    page, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = page._queue.event_ids_to_events.get(event_id) if page and event_id else None
    return event is not None and not event.alive
