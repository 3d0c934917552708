"""A source that says there is news has its collector run; the watch ends with the process and starts anew by itself."""

import threading

from monitor.jobs.watchers import Watching


class Source:
    """Says `news` times that there is something, then waits for the end of the watch."""

    def __init__(self, news=0):
        self.news, self.contexts = news, []

    def watch(self, context, stop):
        self.contexts.append(context)
        for _ in range(self.news):
            yield
        assert stop.wait(60)


def test_each_news_is_one_run_and_the_watch_ends_when_the_process_does():
    source, stop, runs = Source(news=2), threading.Event(), []

    def run_now():
        runs.append(1)
        if len(runs) == 2:
            stop.set()

    Watching(source, lambda: "context", run_now).run(stop)
    assert (len(runs), source.contexts) == (2, ["context"])


def test_a_watch_ends_after_its_time_so_that_the_next_sees_new_mailboxes():
    source = Source()
    Watching(source, lambda: "context", lambda: None, again_seconds=0.01).run(threading.Event())
    assert source.contexts == ["context"]
