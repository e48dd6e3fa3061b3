package interpreters

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// FuzzQueuePorts has three guests do anything, one step after the other, with two queues, and compares with a list of what should be in
// them. After each step nobody may be waiting for what is there and offered to nobody.
func FuzzQueuePorts(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte("get put get cancel sleep wake put put put get get"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		steps = steps[:min(len(steps), 100)] // longer ones find nothing more
		qs := []*Queue{CreateQueue(2, UnboundItems(UnboundRemove)), CreateQueue(0, UnboundItems(UnboundError))}
		model := map[*Queue][]int{} // what is in there: negative if the owner is gone
		owner := map[int]*queuePort{}
		rung := map[*queuePort]map[uint64]bool{}
		newPort := func() *queuePort {
			var p *queuePort
			p = newQueuePort(1, 0, func(ticket uint64) { rung[p][ticket] = true }, func(ticket uint64) { delete(rung[p], ticket) })
			rung[p] = map[uint64]bool{}
			for _, q := range qs {
				p.grant(q)
			}
			return p
		}
		ports := []*queuePort{newPort(), newPort(), newPort()}
		defer func() {
			for _, p := range ports {
				p.close()
			}
			for _, q := range qs {
				require.NoError(t, q.Close())
			}
		}()
		next := 0
		for _, step := range steps {
			who := int(step>>6) % 3
			p, q, ticket := ports[who], qs[step>>5&1], uint64(step>>3&3)
			if step&7 < 6 { // it looks, or does not want to any more
				delete(rung[p], ticket)
			}
			switch step & 7 {
			case 0, 1:
				next++
				encoded, err := ipc.AppendValue(nil, &next)
				require.NoError(t, err)
				if err := p.put(q.id, encoded, nil, ticket); err == nil {
					model[q] = append(model[q], next)
					owner[next] = p
				} else {
					require.ErrorIs(t, err, ErrQueueFull)
					require.Len(t, model[q], 2)
				}
			case 2, 3, 4:
				encoded, unbound, err := p.get(q.id, ticket)
				if len(model[q]) == 0 {
					require.ErrorIs(t, err, ErrQueueEmpty)
					break
				}
				want := model[q][0]
				model[q] = model[q][1:]
				require.False(t, unbound)
				require.Equal(t, want < 0, errors.Is(err, ErrItemInterpreterDestroyed))
				if err == nil {
					var v int
					require.NoError(t, ipc.DecodeValue(encoded, &v))
					require.Equal(t, want, v)
				}
			case 5:
				p.cancel(ticket)
			case 6:
				p.sleep()
				p.wake()
			case 7:
				p.close()
				delete(rung, p)
				ports[who] = newPort()
				var left []int
				for _, v := range model[qs[0]] {
					if owner[v] != p {
						left = append(left, v)
					}
				}
				model[qs[0]] = left
				for i, v := range model[qs[1]] {
					if owner[v] == p {
						model[qs[1]][i] = -v
					}
				}
			}
			for _, q := range qs {
				require.Equal(t, len(model[q]), q.QSize())
				checkLine(t, ports, &q.getters, len(q.items))
				checkLine(t, ports, &q.putters, q.room())
			}
			for _, p := range ports {
				for ticket, w := range p.waiters {
					require.True(t, w.at != nil || rung[p][ticket], "a ticket that is in no line was not rung")
				}
			}
		}
	})
}

// checkLine checks the invariant of a line, where so many can be served.
func checkLine(t *testing.T, ports []*queuePort, l *line, servable int) {
	waiting, told := 0, 0
	for _, p := range ports {
		for _, w := range p.waiters {
			switch {
			case w.line != l || w.asleep:
			case w.at != nil:
				waiting++
			default:
				told++
			}
		}
	}
	require.Equal(t, waiting, l.waiting.Len())
	require.Equal(t, told, l.told)
	require.False(t, waiting > 0 && servable > told, "somebody waits for what is there")
}
