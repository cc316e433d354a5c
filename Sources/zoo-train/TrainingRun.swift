import Console
import Foundation
import Training

/// A run as the user sees it: lines, progress, the end.
struct TrainingRun {
  let trainer: Trainer

  init(_ trainer: Trainer) { self.trainer = trainer }

  func run() throws {
    for warning in trainer.warnings { Output.warn(warning) }
    let (settings, recipe) = (trainer.settings, trainer.settings.recipe)
    let counts = Output.grouped(trainer.network.parameterCount)
    Output.line("\(trainer.network.configuration.name), \(counts) parameters, on \(settings.data)")
    Output.line(
      "recipe \(recipe.name): \(recipe.epochs) epochs, batches of \(recipe.batchSize), learning rate \(recipe.learningRate), "
        + "seed \(settings.seed), \(WorkerPool.shared.width) threads")
    var line: (epoch: Int, progress: ProgressLine)?
    var failures = 0
    let ending = try trainer.run(
      onStep: { step in
        if line?.epoch != step.epoch { line = (step.epoch, ProgressLine(total: step.totalImages)) }
        for failure in step.failures.prefix(max(0, 5 - failures)) {
          Output.warn("left out: \(failure.reason)")
        }
        failures += step.failures.count
        line?.progress.show(
          done: step.images, timed: step.timedImages, seconds: step.seconds,
          prefix: "epoch \(step.epoch)/\(recipe.epochs)  ",
          notes: [
            String(format: "loss %.4f", step.loss), String(format: "Acc@1 %.2f %%", step.top1),
            String(format: "rate %.4g", step.learningRate),
          ])
      },
      onEpoch: { record in
        line?.progress.finish()
        Output.line(text(record, of: recipe.epochs))
      },
      onValidationFailures: { found in
        line?.progress.finish()
        for failure in found.prefix(max(0, 5 - failures)) {
          Output.warn("left out of the validation: \(failure.reason)")
        }
        failures += found.count
      }, shouldStop: { StopSignal.isRaised })
    line?.progress.finish()
    if failures > 0 { Output.warn("\(failures) times an image could not be read and was left out") }
    switch ending {
    case .complete:
      if let best = trainer.best {
        Output.line(String(format: "best: epoch %d, Acc@1 %.2f %%", best.epoch, best.top1))
      }
    case .stopped:
      let position = trainer.position
      Output.line("stopped at epoch \(position.epoch + 1), step \(position.step); --resume goes on from here")
      throw StopSignal.exitCode
    }
  }

  private func text(_ record: EpochRecord, of epochs: Int) -> String {
    var text = String(format: "epoch %*d/%d", "\(epochs)".count, record.epoch, epochs)
    text += String(format: "  loss %.4f  Acc@1 %6.2f %%", record.trainLoss, record.trainTop1)
    if let loss = record.validationLoss, let top1 = record.validationTop1 {
      text += String(format: "  |  validation: loss %.4f  Acc@1 %6.2f %%", loss, top1)
    }
    if let rate = record.dropRate { text += String(format: "  drop rate %.3f", rate) }
    return text + String(format: "  |  %.0f images/s, ", record.imagesPerSecond) + Output.time(record.seconds)
  }
}
