"""The evidence never favours guilt where there is none: counted out, not sampled."""

import math

import pytest
from scipy.integrate import quad
from scipy.stats import gamma, poisson

from monitor.rules.detectors.likelihood import laws, mixture

LINE = 0.1  # large, so that thirty mails say something
ALTERNATIVES = (0.2, 0.4, 0.8)


def e_value(k, n):
    return math.exp(mixture(k, n, LINE, ALTERNATIVES))


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.1])
def test_the_e_value_of_a_campaign_is_a_supermartingale_up_to_thirty_mails(rate):
    """Its mean after one more mail is at most what it is, after every history of up to 30 mails."""
    for n in range(30):
        for k in range(n + 1):
            following = rate * e_value(k + 1, n + 1) + (1 - rate) * e_value(k, n + 1)
            assert following <= e_value(k, n) * (1 + 1e-12)


@pytest.mark.parametrize("rate", [0.03, 0.1])
def test_the_chance_that_an_innocent_campaign_is_ever_held_is_at_most_alpha(rate):
    """Every path of thirty mails counted: those that reach 1/alpha at any look."""
    alpha = 0.05
    going, held = {0: 1.0}, 0.0
    for n in range(1, 31):
        after = {}
        for k, chance in going.items():
            for more, part in ((0, 1 - rate), (1, rate)):
                after[k + more] = after.get(k + more, 0.0) + chance * part
        held += sum(chance for k, chance in after.items() if e_value(k, n) >= 1 / alpha)
        going = {k: chance for k, chance in after.items() if e_value(k, n) < 1 / alpha}
    assert held <= alpha
    assert sum(going.values()) + held == pytest.approx(1)


def test_a_guilty_campaign_is_held():
    assert e_value(24, 30) > 20


@pytest.mark.parametrize(("k", "x", "rho"), [(0, 500.0, 0.001), (3, 800.0, 0.0002), (40, 9000.0, 0.01)])
def test_the_ratio_of_a_cluster_is_that_of_gamma_and_poisson(k, x, rho):
    def chance(mean):
        law = gamma(mean / rho, scale=rho)
        return quad(lambda rate: law.pdf(rate) * poisson.pmf(k, rate * x), 0, 0.2, limit=500, points=[k / x, mean])[0]

    low, high = laws((0.003, 0.006), rho).of(k, x)
    assert high - low == pytest.approx(math.log(chance(0.006) / chance(0.003)), abs=1e-3)


def test_without_clustering_it_is_that_of_poisson():
    low, high = laws((0.001, 0.006), 1e-9).of(4, 1000.0)
    assert high - low == pytest.approx(poisson(6).logpmf(4) - poisson(1).logpmf(4), abs=1e-4)


def test_the_ratio_of_a_cluster_does_not_favour_guilt_in_the_mean():
    """Summed over all counts of a cluster whose rate varies as assumed."""
    rho, x, mean = 0.001, 3000.0, 0.001
    law_of = laws((mean, 0.003, 0.006, 0.03), rho)
    # gamma and Poisson make a negative binomial
    law = [math.exp(
        math.lgamma(mean / rho + k) - math.lgamma(mean / rho) - math.lgamma(k + 1)
        - mean / rho * math.log1p(rho * x) + k * math.log(rho * x / (1 + rho * x))
    ) for k in range(3000)]
    for place in (1, 2, 3):
        favoured = sum(chance * math.exp(law_of.of(k, x)[place] - law_of.of(k, x)[0]) for k, chance in enumerate(law))
        assert favoured == pytest.approx(1, abs=1e-3)
