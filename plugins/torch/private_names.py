"""The private and undocumented names of torch that this package uses."""

from __future__ import annotations

from ..core.private_names import PrivateName, listed

_SEEN = "torch 2.13"

_SINCE = "2.11"  # the check of a captured graph is not for CUDA alone, and has another name

PRIVATE_NAMES = listed(
    PrivateName(owner, name, "Lightning 2.6.6" if owner.startswith("lightning") else _SEEN, why, *versions)
    for owner, name, why, *versions in (
        ("torch", "_foreach_mul", "updates of many tensors at once"),
        ("torch", "_foreach_mul_", "likewise"),
        ("torch", "_foreach_norm", "clipping by the norm of all gradients", "", "2.6"),
        ("torch", "_foreach_clamp_min_", "clipping by value"),
        ("torch", "_foreach_clamp_max_", "likewise"),
        ("torch.nn.modules.batchnorm", "_NormBase", "the role of a normalization's parameters"),
        ("torch.nn.modules.conv", "_ConvNd", "the role and the layout of a convolution's parameters"),
        ("torch.nn.modules.linear", "NonDynamicallyQuantizableLinear", "the output of an attention, by Keras' name"),
        ("torch.distributed.fsdp._common_utils", "FSDP_FLATTENED", "flattened parameters are refused"),
        ("torch.optim.optimizer", "_default_to_fused_or_foreach", "whether fused kernels take some weights"),
        ("torch.optim.optimizer", "_use_grad_for_differentiable", "AdamW.step is torch's but for memory layouts"),
        ("torch.optim.Optimizer", "_accelerator_graph_capture_health_check", "likewise", _SINCE),
        ("torch.optim.Optimizer", "_cuda_graph_capture_health_check", "likewise", "", _SINCE),
        ("torch.optim.Optimizer", "_optimizer_step_pre_hooks", "a wrapper that lacks them is given them"),
        ("torch.optim.Optimizer", "_optimizer_step_post_hooks", "likewise"),
        ("torch.Tensor", "_version", "weights that were written by no counted update are noticed"),
        ("lightning_fabric.wrappers", "_FabricModule", "it is no part of a parameter's path"),
        ("torch.optim.AdamW", "_init_group", "an optimizer keeps the state that torch's class has"),
        ("torch.optim.NAdam", "_init_group", "likewise"),
        ("torch.optim.AdamW", "_step_supports_amp_scaling", "a scaler is to skip an update itself"),
        ("torch.optim.adamw", "adamw", "the update, by torch's own kernels"),
        ("torch.optim.nadam", "nadam", "likewise"),
        ("torch.optim.sgd", "sgd", "likewise"),
        ("torch.amp.GradScaler", "_maybe_opt_step", "what a scaler tells a fused optimizer, as found_inf"),
    )
)
