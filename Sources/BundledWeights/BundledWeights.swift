/// Weights that come with the package: resnet20 with each head, trained on Fashion-MNIST by `Examples/fashion-mnist`.
///
/// The target consists of its resources. A program that depends on the product `BundledWeights` has them copied beside it,
/// where `Zoo.checkpointInTheBox` finds them; the libraries alone copy no weights.
public enum BundledWeights {}
