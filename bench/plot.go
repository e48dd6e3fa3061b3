package main

import (
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Names of the plots in the folder of the documents.
const (
	latencyPlot  = "latency.svg"
	durationPlot = "throughput.svg"
)

// colors can be told apart by everybody (Okabe and Ito).
var colors = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.Black,
}

// drawLatencies draws which share of the calls took at most so long.
func drawLatencies(dir string, latencies []Latencies) error {
	p := newPlot("No-op call, one at a time", "from Submit to Result", "share of the calls")
	logarithmic(&p.X, plot.TickerFunc(durationTicks))
	p.Y.Min, p.Y.Max = 0, 1
	p.Legend.Top = false
	shortest, longest := math.Inf(1), 0.0
	for i, l := range latencies {
		all := l.all()
		shortest, longest = min(shortest, all[0].Seconds()), max(longest, all[int(0.9995*float64(len(all)-1))].Seconds())
		if err := addLine(p, l.Name, distribution(all), i); err != nil {
			return err
		}
	}
	p.X.Min, p.X.Max = shortest, 2*longest // beyond the longest there is one call in two thousand; there is the legend
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, filepath.Join(dir, latencyPlot))
}

// distribution is the curve of sorted latencies, in as many points as can be seen.
func distribution(sorted []time.Duration) plotter.XYs {
	const points = 500
	var curve plotter.XYs
	for i := range points + 1 {
		at := i * (len(sorted) - 1) / points
		curve = append(curve, plotter.XY{X: sorted[at].Seconds(), Y: float64(at+1) / float64(len(sorted))})
	}
	return slices.CompactFunc(curve, func(a, b plotter.XY) bool { return a == b })
}

// drawDurations draws throughputs against the duration of the call.
func drawDurations(dir string, d *Durations) error {
	p := newPlot("Throughput of two workers", "duration of the call", "calls per second")
	logarithmic(&p.X, plot.TickerFunc(durationTicks))
	logarithmic(&p.Y, plot.TickerFunc(rateTicks))
	var line plotter.XYs
	for i, duration := range d.durations {
		line = append(line, plotter.XY{X: duration.Seconds(), Y: d.ideal[i].median()})
	}
	ideal, err := plotter.NewLine(line)
	if err != nil {
		return err
	}
	ideal.Color, ideal.Width, ideal.Dashes = color.Gray{0x80}, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(ideal)
	p.Legend.Add("two workers without loss", ideal)
	for i, way := range d.Ways {
		var curve plotter.XYs
		for j, duration := range d.durations {
			curve = append(curve, plotter.XY{X: duration.Seconds(), Y: way.rates[j].median()})
		}
		if err := addLine(p, way.Name, curve, 2*i); err != nil {
			return err
		}
	}
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, filepath.Join(dir, durationPlot))
}

func newPlot(title, x, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.BackgroundColor = color.White // it is looked at on dark pages as well
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding, p.Legend.Padding = vg.Points(6), vg.Points(2)
	p.Legend.Top, p.Legend.XOffs = true, -vg.Points(8)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe0}, color.Gray{0xe0}
	p.Add(grid)
	return p
}

func addLine(p *plot.Plot, name string, curve plotter.XYs, number int) error {
	line, err := plotter.NewLine(curve)
	if err != nil {
		return err
	}
	line.Color, line.Width = colors[number%len(colors)], vg.Points(1.5)
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

func logarithmic(axis *plot.Axis, ticks plot.Ticker) {
	axis.Scale, axis.Tick.Marker = plot.LogScale{}, ticks
}

func durationTicks(least, most float64) []plot.Tick { return logTicks(least, most, seconds) }
func rateTicks(least, most float64) []plot.Tick     { return logTicks(least, most, perSecond) }

// logTicks are a tick with its text at each power of ten, and small ones between.
func logTicks(least, most float64, u Unit) []plot.Tick {
	var ticks []plot.Tick
	for exponent := math.Floor(math.Log10(least)); exponent <= math.Ceil(math.Log10(most)); exponent++ {
		for digit := 1.0; digit < 10; digit++ {
			v := digit * math.Pow(10, exponent)
			if v < least*0.999 || v > most*1.001 {
				continue
			}
			tick := plot.Tick{Value: v}
			if digit == 1 {
				tick.Label = u.text(v)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
