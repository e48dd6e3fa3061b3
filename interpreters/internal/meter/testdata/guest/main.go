// Command guest does the work that metering is tested and measured with. It is built as a reactor: main never runs.
package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

func main() {}

var result string // where the host finds it until the next call

// work does the job of that number and returns where its result is: address and length, 32 bits each.
//
//go:wasmexport work
func work(job uint32) uint64 {
	switch job {
	case 0:
		result = fmt.Sprint(isPrime(112272535095293))
	case 1:
		result = sorted(200_000)
	case 2:
		result = fmt.Sprint(fib(30))
	case 3:
		result = fmt.Sprintf("%x", sha256.Sum256(make([]byte, 1<<20)))
	case 4:
		result = nbody(20_000)
	case 5:
		result = words(20_000)
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.StringData(result))))<<32 | uint64(len(result))
}

func isPrime(n uint64) bool {
	for d := uint64(3); d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return n%2 != 0
}

func sorted(n int) string {
	numbers := make([]int, n)
	x := uint64(1)
	for i := range numbers {
		x = x*6364136223846793005 + 1442695040888963407
		numbers[i] = int(x >> 33)
	}
	slices.Sort(numbers)
	return fmt.Sprint(numbers[0], numbers[n/2], numbers[n-1])
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

type body struct{ x, y, vx, vy, m float64 }

func nbody(steps int) string {
	bodies := []body{{0, 0, 0, 0, 10}, {1, 0, 0, 3, 1}, {0, 2, -2, 0, 1}, {3, 3, 1, -1, .5}, {-2, 1, 0, 1, .25}}
	for range steps {
		for i := range bodies {
			for j := range bodies {
				if i != j {
					dx, dy := bodies[j].x-bodies[i].x, bodies[j].y-bodies[i].y
					f := bodies[j].m / (dx*dx + dy*dy + .01)
					bodies[i].vx += dx * f * .001
					bodies[i].vy += dy * f * .001
				}
			}
		}
		for i := range bodies {
			bodies[i].x += bodies[i].vx * .001
			bodies[i].y += bodies[i].vy * .001
		}
	}
	return fmt.Sprintf("%.12f %.12f", bodies[0].x, bodies[0].y)
}

func words(n int) string {
	count := map[string]int{}
	for i := range n {
		count[fmt.Sprintf("w%d", i%997)]++
	}
	keys := make([]string, 0, len(count))
	for k, v := range count {
		keys = append(keys, k+"="+strconv.Itoa(v))
	}
	slices.Sort(keys)
	return fmt.Sprint(len(strings.Join(keys, " ")), keys[0])
}
