package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

// descent is one fit on its way: a classifier whose weights change in place.
type descent struct {
	settings   MLP
	part       Part
	classifier *model.Classifier
	network    *nn.Network
	adam       nn.Adam
	rng        *rand.Rand
	order      []int // of the rows in the present epoch
}

// fitted is the outcome of a search: the best classifier and after how many
// epochs it was reached.
type fitted struct {
	classifier *model.Classifier
	epochs     int
}

// newDescent draws the first weights.
func (m MLP) newDescent(seed uint64, data *Dataset) (*descent, error) {
	d := &descent{settings: m, part: data.Train, rng: rand.New(rand.NewPCG(seed, 0x6d6c70))}
	d.classifier = m.newClassifier(d.rng, data.Train.X.Cols, data.Classes)
	d.order = make([]int, data.Train.X.Rows)
	for i := range d.order {
		d.order[i] = i
	}
	d.adam.WeightDecay = m.WeightDecay
	var err error
	d.network, err = nn.NewNetwork(d.classifier, min(m.Batch, len(d.order)))
	return d, err
}

// newClassifier draws weights from a normal distribution of variance 2/inputs
// before a ReLU (He and others 2015) and 1/inputs elsewhere (LeCun and others
// 1998). Biases start at 0.
func (m MLP) newClassifier(rng *rand.Rand, inputs int, classes []frame.Value) *model.Classifier {
	c := &model.Classifier{Classes: classes}
	for i, outputs := range append(slices.Clone(m.Hidden), len(classes)) {
		layer := model.Dense{In: inputs, Out: outputs, Activation: m.Activation}
		if i == len(m.Hidden) {
			layer.Activation = model.Identity
		}
		gain := 1.0
		if layer.Activation == model.ReLU {
			gain = 2
		}
		std := math.Sqrt(gain / float64(inputs))
		layer.W, layer.B = make([]float32, inputs*outputs), make([]float32, outputs)
		for j := range layer.W {
			layer.W[j] = float32(rng.NormFloat64() * std)
		}
		c.Layers = append(c.Layers, layer)
		inputs = outputs
	}
	return c
}

// epoch goes once over the training rows, in a new order, and returns their
// mean loss as the weights moved.
func (d *descent) epoch(ctx context.Context, number int) (float64, error) {
	d.adam.LearningRate = d.settings.LearningRate * math.Pow(d.settings.Decay, float64(number-1))
	d.rng.Shuffle(len(d.order), func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
	var total float64
	for batch := range slices.Chunk(d.order, d.settings.Batch) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		loss, err := d.network.Backward(d.part.X, d.part.Y, batch)
		if err != nil {
			return 0, err
		}
		if !isFinite(loss) {
			return 0, diverged(number, loss)
		}
		if err := d.adam.Step(d.network.Params(), d.network.Grads()); err != nil {
			return 0, err
		}
		total += loss * float64(len(batch))
	}
	return total / float64(len(d.order)), nil
}

func diverged(epoch int, loss float64) error {
	return fault.Errorf(fault.Invalid,
		"the fit diverged in epoch %d: the loss is %v; lower LearningRate, or standardize the inputs", epoch, loss)
}

// search fits on the training rows until the loss on the held-out rows has not
// fallen for Patience epochs, and returns the classifier as it was at its lowest.
func (m MLP) search(ctx context.Context, job Job, data *Dataset) (fitted, error) {
	d, err := m.newDescent(job.Seed, data)
	if err != nil {
		return fitted{}, err
	}
	defer d.network.Close()
	var best fitted
	var p []float64
	lowest := math.Inf(1)
	for number := 1; number <= m.Epochs && number <= best.epochs+m.Patience; number++ {
		loss, err := d.epoch(ctx, number)
		if err != nil {
			return fitted{}, err
		}
		if p, err = d.classifier.Probabilities(p, data.Validation.X); err != nil {
			return fitted{}, diverged(number, math.NaN())
		}
		validation, accuracy := lossAndAccuracy(p, data.Validation.Y)
		job.Run.LogMetric("train_loss", loss, int64(number))
		job.Run.LogMetric("validation_loss", validation, int64(number))
		job.Run.LogMetric("validation_accuracy", accuracy, int64(number))
		if validation < lowest {
			lowest = validation
			best = fitted{d.classifier.Clone(), number}
		}
	}
	return best, nil
}

// refit fits on all rows for a number of epochs that is known.
func (m MLP) refit(ctx context.Context, job Job, all *Dataset, epochs int) (*model.Classifier, error) {
	d, err := m.newDescent(job.Seed, all)
	if err != nil {
		return nil, err
	}
	defer d.network.Close()
	for number := 1; number <= epochs; number++ {
		loss, err := d.epoch(ctx, number)
		if err != nil {
			return nil, err
		}
		job.Run.LogMetric("refit_loss", loss, int64(number))
	}
	return d.classifier, nil
}

// lossAndAccuracy returns the mean of -ln p over the rows, p being the label's
// probability but at least 2⁻⁵², and the share of rows whose most probable class,
// the first of equals, is the label. Errors cannot occur: y indexes p's classes.
func lossAndAccuracy(p []float64, y []int32) (loss, accuracy float64) {
	k := len(p) / len(y)
	for i, label := range y {
		row := p[i*k : (i+1)*k]
		loss -= math.Log(max(row[label], 0x1p-52))
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		if best == int(label) {
			accuracy++
		}
	}
	return loss / float64(len(y)), accuracy / float64(len(y))
}

func isFinite(f float64) bool { return f-f == 0 }
