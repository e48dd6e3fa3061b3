package procpool

// queue is a list of waiting tasks, oldest first. A task is in one queue at most.
type queue struct {
	head, tail *task
	len        int // tasks
	calls      int // of the tasks
	hands      int // how many workers could have a part of them
}

func (q *queue) pushBack(t *task) { q.insert(t, q.tail, nil) }

func (q *queue) pushFront(t *task) { q.insert(t, nil, q.head) }

func (q *queue) insert(t, prev, next *task) {
	t.prev, t.next, t.queued = prev, next, true
	if prev == nil {
		q.head = t
	} else {
		prev.next = t
	}
	if next == nil {
		q.tail = t
	} else {
		next.prev = t
	}
	q.len++
	q.calls += t.size()
	q.hands += t.hands()
}

func (q *queue) remove(t *task) {
	if t.prev == nil {
		q.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		q.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.queued = nil, nil, false
	q.len--
	q.calls -= t.size()
	q.hands -= t.hands()
}
