/// How the tensors of a checkpoint are called in PyTorch's version of the network.
enum KeyMap {
  /// What a file's names say of whose code wrote it.
  static func flavour(of names: some Collection<String>) -> Flavour {
    names.contains { $0.hasSuffix(".gamma") || $0.hasSuffix(".moving_mean") } ? .mindspore : .pytorch
  }

  /// PyTorch's name for a tensor that inference or training needs; `nil` for what a checkpoint holds besides the network.
  static func pytorchName(_ name: String, flavour: Flavour) -> String? {
    guard flavour == .mindspore else { return isPyTorchState(name) ? nil : name }
    return isMindSporeState(name) ? nil : mindsporeRules.reduce(name) { $0.replacing($1.0, with: $1.1) }
  }

  /// Whether a tensor counts batches, or weights that were averaged.
  private static func isPyTorchState(_ name: String) -> Bool {
    name.hasSuffix("num_batches_tracked") || name == "n_averaged"
  }

  /// Whether a tensor belongs to MindSpore's optimiser or training loop.
  private static func isMindSporeState(_ name: String) -> Bool {
    let states = [
      "learning_rate", "global_step", "momentum", "epoch_num", "step_num", "current_iterator_step", "loss_scale",
      "scale_sense",
    ]
    return states.contains(name)
      || ["moments.", "moment1.", "moment2.", "accum.", "stat."].contains { name.hasPrefix($0) }
  }

  /// MindSpore's spellings, in the order in which they are replaced.
  private static let mindsporeRules: [(String, String)] = [
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
