import Charts

/// Loss, accuracy, learning rate and drop rate over the epochs, as one SVG picture.
func curves(of records: [EpochRecord], title: String) -> String {
  func series(_ name: String, _ value: (EpochRecord) -> Double?) -> Chart.Series? {
    let points = records.compactMap { record in value(record).map { (x: Double(record.epoch), y: $0) } }
    return points.isEmpty ? nil : Chart.Series(name, points)
  }
  func panel(_ title: String, _ series: Chart.Series?...) -> Chart? {
    let series = series.compactMap { $0 }
    return series.isEmpty ? nil : Chart(title: title, xLabel: "epoch", series: series)
  }
  let panels = [
    panel("loss", series("training", \.trainLoss), series("validation", \.validationLoss)),
    panel("accuracy, %", series("training", \.trainTop1), series("validation", \.validationTop1)),
    panel("learning rate", series("", \.learningRate)),
    panel("drop rate", series("", \.dropRate)),
  ].compactMap { $0 }
  return Figure(panels, title: title, width: 330 * Double(panels.count), height: 300).svg
}
