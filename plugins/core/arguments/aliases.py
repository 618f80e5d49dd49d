"""The one table of the names that other libraries give to samestep's arguments.

Sources: torch.optim and its lr_scheduler, keras.optimizers and its schedules, keras.callbacks, optax, transformers
and timm.
"""

from __future__ import annotations

from typing import NamedTuple


class Alias(NamedTuple):
    """What an argument of another library is called here.

    Attributes:
        names: samestep's arguments of the same meaning; the first one that the called function has is meant. One as
            "Warmup.over" is meant there alone.
        note: What to add.
        elsewhere: What to do where the called function has none of them; "" if that is unknown.
        value: Its value here: "{0}" is the value that was given, "" leaves it open.
    """

    names: tuple[str, ...]
    note: str = ""
    elsewhere: str = ""
    value: str = "{0}"


_SPEC = "set it in the optimizer's spec, as in AdamW({0}=...)"
_BASE = "set the base value in the optimizer's spec, as in AdamW(learning_rate=...)"
_SGDW = "set it in the optimizer's spec, as in SGDW({0}=...)"
MULTIPLIER = "a multiplier of the base value"
_END = Alias(("floor", "end"), "", "write .at_least(multiplier) after the schedule")
_OVER = ("over", "max_updates", "every", "timescale")
_WARMUP = "multiply the schedule by Warmup('500 updates')"
_RULES = "[ParameterRule(...)]"


def _each(names: str, alias: Alias) -> dict[str, Alias]:
    return dict.fromkeys(names.split(), alias)


ALIASES: dict[str, Alias] = {
    # The optimizer's numbers.
    **_each(
        "betas epsilon amsgrad clipnorm clipvalue global_clipnorm l1_ratio weight_decay_basis maximize parameters",
        Alias((), "", _SPEC),
    ),
    "learning_rate": Alias(("base",), "", "set it in a recipe, as in Recipe(AdamW(learning_rate=...))"),
    "weight_decay": Alias((), "", "set it in a recipe, as in Recipe(AdamW(weight_decay=...))"),
    **_each(
        "lr eta initial_lr init_lr base_lr initial_learning_rate learningrate",
        Alias(("learning_rate", "base"), "", _SPEC.format("learning_rate")),
    ),
    **_each(
        "max_lr peak_lr lr_max max_learning_rate",
        Alias(("learning_rate",), "", _BASE),
    ),
    **_each("peak_value max_value", Alias(("top",), MULTIPLIER, _SPEC.format("learning_rate"), "")),
    **_each("wd weight_decay_rate weightdecay l2", Alias(("weight_decay",), "", _SPEC.format("weight_decay"))),
    **_each("eps adam_epsilon", Alias(("epsilon",), "", _SPEC.format("epsilon"))),
    **_each(
        "beta_1 beta1 b1 adam_beta1 beta_2 beta2 b2 adam_beta2",
        Alias(("betas",), "", _SPEC.format("betas")),
    ),
    "momentum": Alias(("betas",), "", _SGDW.format("momentum")),
    "schedule_decay": Alias(("momentum_decay",)),
    "use_nesterov": Alias(("nesterov",), "", "for Nesterov momentum write NAdamW"),
    "nesterov": Alias((), "", "for Nesterov momentum write NAdamW"),
    "dampening": Alias((), "", "leave it out: there is none"),
    "decoupled_weight_decay": Alias((), "", "leave it out: the weight decay is always decoupled"),
    "decay": Alias(
        ("weight_decay",),
        "or, for legacy Keras' decay of the learning rate, Recipe(learning_rate=InverseTimeDecay(...))",
        "write InverseTimeDecay(..., every='1 update') as the learning rate's schedule",
    ),
    **_each(
        "max_grad_norm max_norm clip_norm global_clip_norm gradient_clip_norm clip_grad_norm gradient_clip_val "
        "clip_grad",
        Alias(("global_clipnorm",), "", _SPEC.format("global_clipnorm")),
    ),
    **_each("clip_value gradient_clip_value", Alias(("clipvalue",), "", _SPEC.format("clipvalue"))),
    **_each(
        "fused foreach capturable differentiable use_ema ema_momentum gradient_accumulation_steps name",
        Alias((), "", "if your framework's optimizer has it, give it to build_optimizer(spec, model, {0}=...)"),
    ),
    **_each(
        "exclude_from_weight_decay no_weight_decay no_decay exclude param_groups rules parameter_rules layer_decay",
        Alias(("parameters",), "", f"set it in the optimizer's spec, as in AdamW(parameters={_RULES})", _RULES),
    ),
    **_each(
        "Plateau.eps ReduceOnPlateau.eps ReduceOnPlateau.like_torch.eps",
        Alias((), "", "leave it out: no reduction is too small to be made"),
    ),
    # A rule's, whose numbers are multipliers: in a parameter group of torch they are values.
    **_each(
        "ParameterRule.lr ParameterRule.base_lr ParameterRule.initial_lr ParameterRule.max_lr",
        Alias(("learning_rate",), MULTIPLIER, "", ""),
    ),
    **_each(
        "ParameterRule.wd ParameterRule.decay ParameterRule.weight_decay_rate ParameterRule.l2",
        Alias(("weight_decay",), MULTIPLIER, "", ""),
    ),
    **_each(
        "ParameterRule.layer_decay ParameterRule.lr_decay ParameterRule.decay_rate",
        Alias(("learning_rate",), "the factor from one depth to the next"),
    ),
    **_each(
        "ParameterRule.name ParameterRule.names ParameterRule.params ParameterRule.layer ParameterRule.module",
        Alias(("path",), "a pattern of '/'-separated parts, such as 'encoder/**'", "", ""),
    ),
    **_each("lr_mult lr_multiplier lr_scale lr_factor", Alias(("learning_rate",), MULTIPLIER, "", "")),
    **_each("wd_mult decay_mult weight_decay_multiplier", Alias(("weight_decay",), MULTIPLIER, "", "")),
    **_each(
        "pattern regex glob prefix", Alias(("path",), "a pattern of '/'-separated parts, such as 'encoder/**'", "", "")
    ),
    **_each("roles kind layer_type", Alias(("role",))),
    **_each("paths", Alias(("path",), "one pattern in each rule, such as 'encoder/**'", "", "")),
    **_each("layers depths", Alias(("depth",), "patterns of paths from the input's end to the output's", "", "")),
    # What decays, by how much.
    **_each(
        "gamma decay_factor drop drop_rate lr_decay_rate multiplicative_factor", Alias(("factor", "rate", "decay"))
    ),
    "decay_rate": Alias(("factor", "rate", "decay", "base")),
    **_each("scale multiplier constant_value", Alias(("value", "factor"))),
    **_each("start_factor warmup_start_factor init_value init_factor", Alias(("start", "value"), MULTIPLIER, "", "")),
    **_each(
        "warmup_init warmup_lr_init warmup_start_lr warmup_learning_rate", Alias(("start",), MULTIPLIER, _WARMUP, "")
    ),
    "warmup_target": Alias((), "", _BASE),
    "div_factor": Alias(("start",), "", "", "1 / {0}"),
    "final_div_factor": Alias(("end",), "", "", "start / {0}"),
    **_each("min_lr lr_min eta_min minimum_learning_rate", _END),
    **_each(
        "end_factor end_value end_learning_rate lr_end final_lr alpha min_lr_rate min_lr_ratio "
        "decay_lr_ratio cycle_limit_lr",
        _END,
    ),
    **_each("anneal_strategy annealing anneal_style decay_type cooldown_type", Alias(("anneal",))),
    **_each("lr_power exponent", Alias(("power",))),
    "cycle": Alias((), "", "write .repeat(every) after the schedule"),
    "num_cycles": Alias((), "", "write .repeat(every) after the schedule"),
    "cycle_limit": Alias((), "", "write .repeat(every).until(end) after the schedule"),
    "staircase": Alias((), "", "for a staircase write StepDecay"),
    **_each("transition_begin delay", Alias(("first",), "", "write .after(begin) after the schedule")),
    **_each(
        "cycle_momentum base_momentum max_momentum",
        Alias((), "", "give the momentum a schedule of its own, as in Recipe(momentum=one_cycle(...))"),
    ),
    **_each("scale_fn scale_mode", Alias(("mode",))),
    # Durations.
    **_each(
        "T_max t_max total_steps total_iters total_iterations num_training_steps training_steps max_iters max_steps "
        "t_initial num_steps total_updates decay_steps transition_steps decay_t duration length",
        Alias(_OVER),
    ),
    **_each("num_epochs max_epochs n_epochs nb_epochs total_epochs", Alias(("epochs", "over"))),
    **_each(
        "steps_per_epoch batches_per_epoch num_batches",
        Alias(("updates_per_epoch",), "", "leave it out: the callback knows, and durations can be in epochs"),
    ),
    "epochs": Alias(("over", "every")),
    **_each("T_0 first_decay_steps cycle_length", Alias(("every", "over"))),
    **_each("T_mult t_mul t_mult cycle_mul", Alias(("growth",), "", "write .repeat(every, growth=...)")),
    **_each("m_mul cycle_decay", Alias(("decay",), "", "write .repeat(every, decay=...)")),
    **_each(
        "step_size period interval frequency every_n_epochs epochs_drop decay_epochs drop_every step",
        Alias(("every_epochs", "every", "up", "over")),
    ),
    "step_size_up": Alias(("up",)),
    "step_size_down": Alias(("down",)),
    **_each("milestones boundaries lr_steps decay_milestones boundaries_and_scales steps", Alias(("at",))),
    **_each("pct_start peak_at", Alias(("peak",))),
    **_each(
        "warmup_steps num_warmup_steps n_warmup_steps warmup_iters warmup_updates warmup_epochs warmup_t warmup_ratio "
        "warmup_percent warmup_duration warmup_proportion warmup",
        Alias(("warmup", "Warmup.over", "timescale"), "", _WARMUP),
    ),
    **_each(
        "cooldown_steps num_decay_steps decay_duration cooldown_epochs",
        Alias(("cooldown", "over", "max_updates", "every")),
    ),
    "num_stable_steps": Alias((), "", "leave it out: it is what warmup= and cooldown= leave of over="),
    **_each(
        "last_epoch last_step",
        Alias((), "", "leave it out: a run resumed from a checkpoint continues at its position by itself"),
    ),
    # The callbacks'.
    **_each("spec optim opt", Alias(("optimizer", "spec"))),
    **_each(
        "scheduler lr_schedule lr_scheduler learning_rate_schedule learning_rate_scheduler",
        Alias(("schedule", "learning_rate", "recipe")),
    ),
    "schedule": Alias(("function", "learning_rate", "recipe")),
    **_each("function func fn lr_lambda lambda_ f", Alias(("schedule", "function"))),
    **_each("recipes", Alias(("recipe",))),
    **_each("metric metric_name quantity", Alias(("monitor",))),
    **_each("min_delta delta", Alias(("threshold",), "with threshold_mode='abs'")),
    **_each("start_from_epoch initial_epoch start_after begin_epoch start", Alias(("start_epoch",))),
    **_each("begin start_at", Alias(("first", "begin"), "", "write .after(begin) after the schedule")),
    "verbose": Alias((), "", "leave it out: recipe.plan(...).explain() says what changes when"),
    # The functions'.
    **_each("module net network pl_module params", Alias(("model",))),
    **_each("filename filepath filename_or_path checkpoint", Alias(("file",))),
}

SHARES = ("pct_start", "ratio", "percent", "proportion")
"""Parts of names whose value is a share of the run."""
