import Foundation

extension Zoo {
  /// The checkpoint of a network that this package trained and carries: resnet20 with each head, on Fashion-MNIST, by
  /// `Examples/fashion-mnist`. `nil` for other networks.
  public static func checkpointInTheBox(_ model: String) -> String? {
    Bundle.module.path(forResource: model, ofType: "safetensors", inDirectory: "Networks")
  }
}
