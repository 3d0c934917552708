from monitor.rules.detectors.counts import HOUR, MailCounts


def of(*rows):
    counts = MailCounts()
    for campaign, hour, delivered, complaints in rows:
        if delivered:
            counts.deliver(campaign, hour * HOUR, delivered)
        counts.complain(campaign, hour * HOUR, complaints)
    return counts


def test_where_mail_does_not_name_the_campaigns_that_complaints_name_all_is_taken_as_one():
    counts = of((None, 5, 5_000, 0), ("july", 5, 0, 200)).comparable()
    assert {key[0] for key in counts.clusters} == {None}
    assert [(each.delivered, each.complaints) for each in counts.clusters.values()] == [(5_000, 200)]


def test_where_complaints_name_no_campaign_all_is_taken_as_one():
    counts = of(("july", 5, 5_000, 1), (None, 6, 0, 30)).comparable()
    assert {key[0] for key in counts.clusters} == {None}


def test_campaigns_stay_apart_where_mail_and_complaints_name_the_same():
    counts = of(("july", 5, 5_000, 4), ("june", 4, 5_000, 9), (None, 5, 3_000, 3), ("stray", 4, 0, 1))
    assert counts.comparable() is counts


def test_a_campaign_is_measured_by_the_mail_that_may_be_of_it():
    counts = of((None, 4, 100, 1), ("july", 5, 200, 9), (None, 6, 400, 2), ("june", 6, 800, 3))
    cells = list(counts.cells(0, "july"))
    assert sum(cell.delivered for cell in cells) == 600
    assert sum(cell.complaints for cell in cells) == 9
