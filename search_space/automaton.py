"""The stages of a space as a nondeterministic automaton over blocks: exact counting and membership.

Different genes may give the same network: genes of omitted blocks, ratios that round to the same
width, dropped stages. A word of the automaton is the block sequence of a network. Counting walks
its subset construction; membership is a search for an accepting path.
"""

from collections import defaultdict
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

from .architecture import Block
from .choices import BLOCK_GENES, Choice, Genes, StageChoices, make_block

StateSet = frozenset["State"]


class State(NamedTuple):
    """Before a block: `blocks_left` more blocks of a stage whose shared choices are fixed.

    The accepting state has `stage` equal to the number of stages.
    """

    stage: int
    blocks_left: int
    in_channels: int
    out: int
    stride: int
    shared: tuple[Choice, ...]


class Automaton:
    """Nondeterministic automaton of the stages of a space."""

    def __init__(self, stages: tuple[StageChoices, ...]) -> None:
        self.stages = stages
        self.accepting_state = State(len(stages), 0, 0, 0, 0, ())
        self.entry_states = cache(self._compute_entry_states)
        self._symbols_at = cache(self._compute_symbols)

    def _compute_entry_states(self, stage: int, in_channels: int) -> tuple[State, ...]:
        """States at the start of a stage; a stage of depth 0 is skipped."""
        if stage == len(self.stages):
            return (self.accepting_state,)
        choices = self.stages[stage]
        states: list[State] = []
        shared = [choices.choices(name) for name in BLOCK_GENES if name in choices.shared]
        for depth in choices.depth:
            if depth == 0:
                states += self.entry_states(stage + 1, in_channels)
                continue
            for out, stride, *values in product(choices.out, choices.stride, *shared):
                states.append(State(stage, depth, in_channels, out, stride, tuple(values)))
        return tuple(states)

    def _compute_symbols(self, state: State) -> dict[Block, tuple[Choice, ...]]:
        stage = self.stages[state.stage]
        fixed = iter(state.shared)
        options = [(next(fixed),) if name in stage.shared else stage.choices(name) for name in BLOCK_GENES]
        blocks: dict[Block, tuple[Choice, ...]] = {}
        for values in product(*options):
            chosen: Any = values
            block = make_block(state.in_channels, state.out, state.stride, *chosen)
            blocks.setdefault(block, values)
        return blocks

    def symbols(self, state: State) -> dict[Block, tuple[Choice, ...]]:
        """Blocks allowed in a state, each with values of `BLOCK_GENES` that give it."""
        return self._symbols_at(state._replace(blocks_left=0))

    def successors(self, state: State) -> tuple[State, ...]:
        """States after any block of this state."""
        if state.blocks_left == 1:
            return self.entry_states(state.stage + 1, state.out)
        return (state._replace(blocks_left=state.blocks_left - 1, in_channels=state.out, stride=1),)

    def transitions(self, states: StateSet) -> dict[StateSet, list[Block]]:
        """Allowed blocks, each once, grouped by the set of states after them.

        The order is the same in every process.
        """
        successors_of: defaultdict[State, set[State]] = defaultdict(set)
        for state in sorted(states - {self.accepting_state}):
            successors_of[state._replace(blocks_left=0)].update(self.successors(state))
        sources_of: defaultdict[Block, list[State]] = defaultdict(list)
        for state in successors_of:
            for block in self.symbols(state):
                sources_of[block].append(state)
        symbols_of: defaultdict[tuple[State, ...], list[Block]] = defaultdict(list)
        for block, block_sources in sources_of.items():
            symbols_of[tuple(block_sources)].append(block)
        transitions: defaultdict[StateSet, list[Block]] = defaultdict(list)
        for source_states, blocks in symbols_of.items():
            transitions[frozenset().union(*(successors_of[state] for state in source_states))] += blocks
        return dict(transitions)


@lru_cache(maxsize=8)
def automaton_of(stages: tuple[StageChoices, ...]) -> Automaton:
    """The automaton of a space's stages, built once."""
    return Automaton(stages)


def count_block_sequences(stages: tuple[StageChoices, ...], in_channels: tuple[int, ...]) -> int:
    """Number of different block sequences, summed over the output channels of the stem."""
    automaton = automaton_of(stages)

    @cache
    def count_completions(states: StateSet) -> int:
        transitions = automaton.transitions(states)
        count = sum(len(blocks) * count_completions(successors) for successors, blocks in transitions.items())
        return count + (automaton.accepting_state in states)

    return sum(count_completions(frozenset(automaton.entry_states(0, channels))) for channels in in_channels)


def find_stage_choices(
    stages: tuple[StageChoices, ...], in_channels: int, blocks: tuple[Block, ...]
) -> Genes | None:
    """Choices of the stages, by name, that give these blocks; None where no choices do.

    Inactive choices are left out.
    """
    automaton = automaton_of(stages)
    path = _accepting_path(automaton, automaton.entry_states(0, in_channels), blocks)
    if path is None:
        return None
    choices: Genes = {f"stage{number}.depth": 0 for number, stage in enumerate(stages, 1) if 0 in stage.depth}
    blocks_of_stage: defaultdict[int, int] = defaultdict(int)
    for state, block in zip(path, blocks, strict=True):
        number = state.stage + 1
        blocks_of_stage[number] += 1
        prefix = f"stage{number}"
        shared = stages[state.stage].shared
        for name, value in zip(BLOCK_GENES, automaton.symbols(state)[block], strict=True):
            choices[
                f"{prefix}.{name}" if name in shared else f"{prefix}.block{blocks_of_stage[number]}.{name}"
            ] = value
        choices[f"{prefix}.out"] = state.out
        choices[f"{prefix}.depth"] = blocks_of_stage[number]
        if blocks_of_stage[number] == 1:
            choices[f"{prefix}.stride"] = state.stride
    return choices


def _accepting_path(
    automaton: Automaton, starts: tuple[State, ...], blocks: tuple[Block, ...]
) -> list[State] | None:
    """An accepting path for the blocks, traced back from the last block; None if there is none."""
    reachable = [dict.fromkeys(starts)]
    for block in blocks:
        following = (
            successors
            for state in reachable[-1]
            if state != automaton.accepting_state and block in automaton.symbols(state)
            for successors in automaton.successors(state)
        )
        reachable.append(dict.fromkeys(following))
    target = automaton.accepting_state
    if target not in reachable[-1]:
        return None
    path: list[State] = []
    for states, block in zip(reversed(reachable[:-1]), reversed(blocks), strict=True):
        target = next(
            state
            for state in states
            if state != automaton.accepting_state
            and block in automaton.symbols(state)
            and target in automaton.successors(state)
        )
        path.append(target)
    return path[::-1]
