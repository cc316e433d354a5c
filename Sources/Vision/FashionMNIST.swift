/// Where Debian's package dataset-fashion-mnist puts its files.
public enum FashionMNIST {
  /// The directory of the four files.
  public static let directory = "/usr/share/datasets/fashion-mnist"
}
