"""What was delivered and complained of, by hour and campaign: all that the detectors are given of one stream's mail.

Complaints cluster: those of one campaign have its list and its content in common. A *cluster* is what counts as drawn
anew: a campaign, or a day of one that runs longer; mail that names no campaign is clustered by UTC day.
Everything follows from the counts, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

HOUR = 3600
DAY_HOURS = 24

Campaign = str | None
ClusterKey = tuple[Campaign, int]  # the campaign, and which day of it


@dataclass(slots=True)
class Cell:
    """Counts of one campaign in one hour, or of one cluster. `moment`: the sum of the instants of what was delivered."""

    delivered: float = 0
    complaints: int = 0
    moment: float = 0

    @property
    def at(self) -> float:
        """When it was sent, on average."""
        return self.moment / self.delivered

    def add(self, other: Cell) -> None:
        self.delivered += other.delivered
        self.complaints += other.complaints
        self.moment += other.moment


@dataclass(slots=True)
class Cluster(Cell):
    """`first_hour`: of its day, not of its first mail."""

    first_hour: int = 0


class MailCounts:
    """Counts of one (customer, stream, provider), or of whatever is judged as one; complaints are dated by their mail."""

    __slots__ = ("clusters", "first_hours", "hours", "oldest")

    def __init__(self) -> None:
        self.hours: dict[int, dict[Campaign, Cell]] = {}
        self.oldest: int | None = None  # of the hours
        self.first_hours: dict[Campaign, int] = {None: 0}
        self.clusters: dict[ClusterKey, Cluster] = {}

    def deliver(self, campaign: Campaign, at: float, count: float) -> None:
        self.add_cell(campaign, int(at // HOUR), Cell(count, 0, count * at))

    def complain(self, campaign: Campaign, at: float, count: int = 1) -> None:
        self.add_cell(campaign, int(at // HOUR), Cell(0, count))

    def add_cell(self, campaign: Campaign, hour: int, counted: Cell) -> None:
        first = self.first_hours.get(campaign)
        if first is None or hour < first:
            self.first_hours[campaign] = hour
            if first is not None and campaign is not None:
                self._cluster_anew(campaign)
        row = self.hours.get(hour)
        if row is None:
            row = self.hours[hour] = {}
            self.oldest = hour if self.oldest is None else min(hour, self.oldest)
        cell = row.get(campaign)
        if cell is None:
            cell = row[campaign] = Cell()
        cell.add(counted)
        self._of_cluster(campaign, hour).add(counted)

    def key(self, campaign: Campaign, hour: int) -> ClusterKey:
        """The cluster of a cell."""
        return campaign, (hour - self.first_hours[campaign]) // DAY_HOURS

    def _of_cluster(self, campaign: Campaign, hour: int) -> Cluster:
        key = self.key(campaign, hour)
        cluster = self.clusters.get(key)
        if cluster is None:
            first = self.first_hours[campaign] + key[1] * DAY_HOURS
            cluster = self.clusters[key] = Cluster(first_hour=first)
        return cluster

    def _cluster_anew(self, campaign: Campaign) -> None:
        """A mail older than all of its campaign came late: its days begin with that one."""
        for key in [key for key in self.clusters if key[0] == campaign]:
            del self.clusters[key]
        for hour, row in self.hours.items():
            if campaign in row:
                self._of_cluster(campaign, hour).add(row[campaign])

    def forget(self, before: float) -> None:
        """Drop what is older than an instant; campaigns that still run keep what they had."""
        last = int(before // HOUR)
        for hour in [hour for hour in self.hours if hour < last]:
            del self.hours[hour]
        self.oldest = min(self.hours, default=None)
        kept = {campaign for row in self.hours.values() for campaign in row}
        self.clusters = {
            key: each for key, each in self.clusters.items() if each.first_hour + DAY_HOURS > last and key[0] in kept
        }
        self.first_hours = {key: hour for key, hour in self.first_hours.items() if key is None or key in kept}

    def cells(self, since: float, campaign: Campaign) -> Iterator[Cell]:
        """Those of a campaign from the hour of `since` on; mail that names none, from its first hour on, may be of it too."""
        first = self.first_hours.get(campaign, 0)
        for hour, row in self.hours.items():
            if hour < first or (hour + 1) * HOUR <= since:
                continue
            if campaign in row:
                yield row[campaign]
            if campaign is not None and None in row:
                yield replace(row[None], complaints=0)

    def sent_since(self, since: float, campaign: Campaign) -> bool:
        """Whether mail of a campaign was delivered from the hour of `since` on."""
        first = int(since // HOUR)
        return any(row[campaign].delivered for hour, row in self.hours.items() if hour >= first and campaign in row)

    def delivered_since(self, since: float) -> float:
        """Deliveries from the hour of `since` on."""
        first = int(since // HOUR)
        return sum(cell.delivered for hour, row in self.hours.items() if hour >= first for cell in row.values())

    def comparable(self) -> MailCounts:
        """These, or without campaigns, where complaints and mail do not name the same ones."""
        bare = self.clusters_of(None)
        delivered, complaints = sum(each.delivered for each in bare), sum(each.complaints for each in bare)
        if len(bare) == len(self.clusters):
            return self
        all_delivered = sum(each.delivered for each in self.clusters.values())
        all_complaints = sum(each.complaints for each in self.clusters.values())
        of_nothing = sum(each.complaints for key, each in self.clusters.items() if key[0] is not None and not each.delivered)
        mail_unnamed = delivered > 0 and of_nothing > max(1.0, 0.05 * all_complaints)
        fair = 2 * max(delivered, 0.05 * all_delivered) * all_complaints
        complaints_unnamed = complaints > 1 and complaints * all_delivered > fair
        return merged([(None, self, 0.0)]) if mail_unnamed or complaints_unnamed else self

    def clusters_of(self, campaign: Campaign) -> list[Cluster]:
        return [cluster for key, cluster in self.clusters.items() if key[0] == campaign]


def merged(parts: Iterable[tuple[str | None, MailCounts, float]]) -> MailCounts:
    """Counts of several streams taken together, each from an instant on (hours that began before it are left out).

    A campaign stays one of its stream, by the name beside; None: none is kept apart.
    """
    whole = MailCounts()
    for name, counts, since in parts:
        for hour, row in counts.hours.items():
            if hour * HOUR < since:
                continue
            for campaign, cell in row.items():
                whole.add_cell(None if name is None else f"{name}/{campaign or ''}", hour, cell)
    return whole
