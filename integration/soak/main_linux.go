// Command soak kills workers at random for as long as one likes, and says what became of every call: make soak.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	worker := flag.String("worker", "", "the worker's program, integration/soak/worker")
	length := flag.Duration("for", time.Minute, "how long; what has begun is finished")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "the same seed gives the same plan")
	spells := flag.Int("plan", 0, "print so many spells of the plan, and do nothing")
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	for n := range *spells {
		fmt.Println(planned(*seed, n))
	}
	if *spells > 0 {
		return
	}
	temp, err := os.MkdirTemp("", "soak-")
	if err == nil {
		err = os.Setenv("TMPDIR", temp) // a folder of its own, so that it can be seen to be empty
	}
	var a *account
	if err == nil {
		a, err = soak(*worker, *seed, *length, func(line string) { fmt.Println(line) })
		_ = os.RemoveAll(temp) // the account says what was in it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	fmt.Println(a)
	if !a.clean() {
		os.Exit(1)
	}
}

// soak plays one spell of the plan after the other until the time is over. There is a line of progress now and then.
func soak(worker string, seed uint64, length time.Duration, progress func(string)) (*account, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil { // so that orphans are seen
		return nil, err
	}
	a := &account{failed: map[string]int{}}
	began, told := time.Now(), time.Now()
	for n := 0; n == 0 || time.Since(began) < length; n++ {
		before := look()
		s := planned(seed, n)
		if n < 8 {
			progress(s.String())
		}
		if err := a.play(s, worker); err != nil {
			return nil, fmt.Errorf("spell %v: %w", s, err)
		}
		a.spells++
		a.inspect(before)
		if time.Since(told) > 30*time.Second {
			told = time.Now()
			progress(fmt.Sprintf("%v: %d spells, %d calls, %d kills, %d troubles", time.Since(began).Round(time.Second), a.spells, a.calls, a.kills, len(a.troubles)))
		}
	}
	return a, nil
}
