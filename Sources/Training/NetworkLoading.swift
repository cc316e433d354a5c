import Checkpoints
import ModelZoo

extension ResNet<Float> {
  /// Takes every tensor from a checkpoint that this package wrote of the same network.
  mutating func fill(from checkpoint: Checkpoint, prefix: String = "") throws {
    var failure: (any Error)?
    forEachTensor { description, tensor in
      guard failure == nil else { return }
      guard let stored = checkpoint.tensors[prefix + description.name], stored.shape == tensor.shape else {
        failure = TrainingError.notResumable(
          checkpoint.path, "it holds no \(prefix + description.name) of shape \(tensor.shape)")
        return
      }
      do { tensor = try stored.tensor(as: Float.self) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
