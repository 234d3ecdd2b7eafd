"""The ten variants of the simulation study: which terms of the ELBO stay, and where SIGReg is added (section 4.1)."""

from typing import NamedTuple

from varjepa.objective.elbo import Weights


class Variant(NamedTuple):
    """One row of Table 1.

    Attributes:
        objective: description for people.
        without: names of the terms that are left out.
        sigreg: names of the latents to which SIGReg is applied.
    """

    objective: str
    without: frozenset[str] = frozenset()
    sigreg: tuple[str, ...] = ()

    def keep(self, weights: Weights) -> Weights:
        """The weights with those of the missing terms set to 0."""
        return weights._replace(**dict.fromkeys(self.without, 0.0))


BOTH = ("s_x", "s_y")
LIKELIHOODS = frozenset({"rec", "gen"})
KLS = frozenset({"kl_sx", "kl_z", "kl_sy"})

VARIANTS: dict[str, Variant] = {
    "A": Variant("ELBO"),
    "B": Variant("ELBO + SIGReg(s_x)", sigreg=("s_x",)),
    "C": Variant("ELBO + SIGReg(s_y)", sigreg=("s_y",)),
    "D": Variant("ELBO + SIGReg(both)", sigreg=BOTH),
    "E": Variant("no KL on s_x", frozenset({"kl_sx"})),
    "F": Variant("no KL on s_y", frozenset({"kl_sy"})),
    "G": Variant("no rec/gen", LIKELIHOODS),
    "H": Variant("no rec/gen + SIGReg(both)", LIKELIHOODS, BOTH),
    "I": Variant("no KL at all", KLS),
    "J": Variant("no KL at all + SIGReg(both)", KLS, BOTH),
}
