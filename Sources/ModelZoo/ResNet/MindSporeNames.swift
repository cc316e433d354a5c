/// How the tensors of the MindSpore releases are called in PyTorch's version of the network.
enum MindSporeNames {
  /// PyTorch's name; `nil` for what belongs to the optimiser or the training loop.
  static func pytorchName(_ name: String) -> String? {
    let isState =
      states.contains(name) || ["moments.", "moment1.", "moment2.", "accum.", "stat."].contains { name.hasPrefix($0) }
    return isState ? nil : rules.reduce(name) { $0.replacing($1.0, with: $1.1) }
  }

  private static let states: Set = [
    "learning_rate", "global_step", "momentum", "epoch_num", "step_num", "current_iterator_step", "loss_scale",
    "scale_sense",
  ]

  /// Spellings, in the order in which they are replaced.
  private static let rules: [(String, String)] = [
    (".down_sample_layer.", ".downsample."),
    (".bn1d.", ".bn1."),
    (".bn2d.", ".bn2."),
    (".gamma", ".weight"),
    (".beta", ".bias"),
    (".moving_mean", ".running_mean"),
    (".moving_variance", ".running_var"),
    ("end_point.", "fc."),
  ]
}
