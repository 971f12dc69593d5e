"""The study of a search for optuna-dashboard: a copy in memory, in which only results have values."""

import warnings
from typing import TYPE_CHECKING

from ..store.search_run import SearchRun

if TYPE_CHECKING:
    from optuna import Study


def dashboard_study(run: SearchRun) -> "Study":
    """A copy of the study with the same trial numbers.

    Completed networks have their estimated accuracies. Infeasible, duplicate and stopped ones are pruned
    trials without values, where the study itself has penalties. Nothing that the dashboard does reaches the
    run.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objectives = run.settings.goals.objectives
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        study_name=run.folder.name,
        directions=[objective.direction for objective in objectives],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.quantity for objective in objectives])
    completed = {record.trial: record for record in run.completed_records()}
    for trial in run.study.get_trials():
        record = completed.get(trial.number)
        states = {TrialState.COMPLETE: TrialState.COMPLETE if record else TrialState.PRUNED}
        copy = create_trial(
            state=states.get(trial.state, trial.state),
            values=[record.value(objective) for objective in objectives] if record else None,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=trial.user_attrs,
            constraints=trial.constraints,
        )
        copy.datetime_start, copy.datetime_complete = trial.datetime_start, trial.datetime_complete
        study.add_trial(copy)
    return study
