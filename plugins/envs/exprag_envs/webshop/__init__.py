"""WebShop (Yao et al. 2022): buy the product that an instruction describes, in a shop of real products. No Java, no server."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_environments(register: Register) -> None:
    register(
        "webshop",
        "exprag_envs.webshop.environment:WebShop",
        description="buy what an instruction describes in a shop of 1,000 or all real products; graded reward",
        requires=("bm25s", "Stemmer", "rapidfuzz", "textblob"),
        extra="webshop",
        check="exprag_envs.webshop.catalogue:data_problem",
    )
