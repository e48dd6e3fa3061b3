package main

// A Goal is what a figure or a ratio has to reach, and what it would like to. Zero means that there is none.
type Goal struct{ must, aim float64 }

// The verdicts.
const (
	noVerdict  = ""
	aimMet     = "aim met"
	mustMet    = "must met"
	aimMissed  = "aim missed" // where there is no must
	mustMissed = "MISSED"
)

// verdict judges v, which is in u.
func (g Goal) verdict(u Unit, v float64) string {
	switch {
	case g.aim != 0 && u.better(v, g.aim):
		return aimMet
	case g.must != 0 && u.better(v, g.must):
		return mustMet
	case g.must != 0:
		return mustMissed
	case g.aim != 0:
		return aimMissed
	}
	return noVerdict
}

// text writes one side of the goal.
func (u Unit) goal(v float64) string {
	switch {
	case v == 0:
		return ""
	case u.more:
		return "≥ " + u.text(v)
	}
	return "≤ " + u.text(v)
}
