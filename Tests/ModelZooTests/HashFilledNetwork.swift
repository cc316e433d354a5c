import ModelZoo
import TestSupport

/// A network whose every tensor is made from its name as its flavour's checkpoints spell it.
func hashFilled(_ configuration: NetworkConfiguration) -> AnyNetwork<Float> {
  var network = AnyNetwork<Float>(configuration)
  network.forEachTensor { description, tensor in
    let name = configuration.flavour == .mindspore ? mindsporeName(description.name, configuration) : description.name
    tensor = Tensor(tensor.shape, hashValues(name, tensor.shape))
  }
  return network
}

/// The name in a MindSpore checkpoint, by rules written here a second time, in the other direction.
func mindsporeName(_ name: String, _ configuration: NetworkConfiguration) -> String {
  var name = name.replacing(".downsample.", with: ".down_sample_layer.")
  if ["resnet18", "resnet34"].contains(configuration.backbone), name.hasPrefix("layer"), !name.hasPrefix("layer_reduce")
  {
    name = name.replacing(".bn1.", with: ".bn1d.").replacing(".bn2.", with: ".bn2d.")
  }
  if name.contains(".bn") || name.hasPrefix("bn1.") || name.contains("_bn.") || name.contains("down_sample_layer.1.") {
    name = name.replacing(".running_mean", with: ".moving_mean").replacing(".running_var", with: ".moving_variance")
      .replacing(".weight", with: ".gamma").replacing(".bias", with: ".beta")
  }
  return configuration.covariance == nil ? name.replacing("fc.", with: "end_point.") : name
}
