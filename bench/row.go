package main

// A Row is one line of the table.
type Row struct {
	Measure, Project, Peer, Ratio, Must, Aim, Verdict string

	// Behind says that somebody else was better.
	Behind bool
}

// alone is a row about a figure that has nothing to be compared with.
func alone(measure string, u Unit, project Sample, goal Goal) Row {
	return Row{
		Measure: measure, Project: project.text(u),
		Must: u.goal(goal.must), Aim: u.goal(goal.aim), Verdict: goal.verdict(u, project.median()),
	}
}

// versus is a row about the ratio of two figures, which is what the goal is about.
func versus(measure string, u Unit, project Sample, peer string, peers Sample, goal Goal) Row {
	ratios, times := project.over(peers), u.times()
	return Row{
		Measure: measure, Project: project.text(u), Peer: peer + ": " + peers.text(u), Ratio: ratios.text(times),
		Must: times.goal(goal.must), Aim: times.goal(goal.aim), Verdict: goal.verdict(times, ratios.median()),
		Behind: !times.better(ratios.median(), 1),
	}
}

// within is a row about the ratio of two figures of this project.
func within(measure string, u Unit, project Sample, other string, others Sample, goal Goal) Row {
	row := versus(measure, u, project, other, others, goal)
	row.Behind = false
	return row
}

// absent is a row about a peer that is not there.
func absent(measure, peer, why string) Row { return Row{Measure: measure, Peer: peer + ": " + why} }
