package main

import (
	"math"
	"strconv"
)

// A Unit is how a figure is written: in the largest of its scales that the figure fills.
type Unit struct {
	more   bool // more is better
	scales []scale
}

type scale struct {
	name string
	size float64
}

var (
	seconds        = Unit{false, []scale{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}, {"ns", 1e-9}}}
	perSecond      = Unit{true, []scale{{"M/s", 1e6}, {"k/s", 1e3}, {"/s", 1}}}
	bytesPerSecond = Unit{true, []scale{{"GiB/s", 1 << 30}, {"MiB/s", 1 << 20}}}
	size           = Unit{false, []scale{{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}}
	objects        = Unit{false, []scale{{"", 1}}}
	share          = Unit{true, []scale{{"", 1}}}
	load           = Unit{false, []scale{{"% of a core", 1e-2}}}
)

// times is the unit of a ratio of two figures in u: it is better when they are.
func (u Unit) times() Unit { return Unit{u.more, []scale{{"×", 1}}} }

// scaleFor is the scale that v is written in.
func (u Unit) scaleFor(v float64) scale {
	for _, s := range u.scales {
		if math.Abs(v) >= s.size*(1-1e-9) { // a power of ten is not always what its scale is
			return s
		}
	}
	return u.scales[len(u.scales)-1]
}

// better reports whether a is at least as good as b.
func (u Unit) better(a, b float64) bool {
	if u.more {
		return a >= b
	}
	return a <= b
}

// text writes one figure.
func (u Unit) text(v float64) string {
	s := u.scaleFor(v)
	return s.text(v) + s.suffix()
}

func (s scale) suffix() string {
	if s.name == "" {
		return ""
	}
	return " " + s.name
}

// thousands writes a whole number for reading.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// text writes v without the name, with three digits.
func (s scale) text(v float64) string {
	v /= s.size
	digits := 3
	for limit := 1.0; digits > 0 && (v >= limit || v <= -limit); limit *= 10 {
		digits--
	}
	if math.Abs(v-math.Round(v)) <= 1e-9*math.Abs(v) {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
