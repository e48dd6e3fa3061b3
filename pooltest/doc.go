// Package pooltest makes workers crash, hang and dawdle when a test says so, so that a program can be tested against all that without luck and
// without sleeping.
//
// A [Fault] is what happens: a signal, an exit, a panic that nobody catches, garbage on the wire. There are three ways to bring one about.
//
// A [Plan] says which call of the program's own Funcs it strikes. The worker wraps them, and a pool whose environment holds no plan sees no
// difference:
//
//	worker.MainIfWorker(pooltest.Wrap(tasks.Resize))                                          // the worker
//
//	plan, err := pooltest.NewPlan(t.TempDir(), pooltest.On(2, pooltest.Signal(syscall.SIGKILL))) // the test
//	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), Env: plan.Env(os.Environ()), ...})
//
// A [Gate] is where a call stops until the test has met it and said what becomes of it. So a test knows where a call is, and in which process,
// when it strikes:
//
//	v, err := gate.Meet(ctx)                        // the call that got as far as pooltest.Wait(gate.Addr())
//	err = v.Befall(pooltest.Exit(3))                // or v.Befall(), which lets it pass
//
// [Carry] is a Func for tests of executors themselves: its argument says at which point of its way, from being encoded by the caller to being
// decoded again, which faults strike. A worker offers it with [Funcs]. [Tap] goes further down, between a worker and its pipes.
//
// What happened is found in a [Ledger]: a file in which each start of a call leaves a line, whatever becomes of its process.
//
// Nothing here needs a *testing.T, and nothing happens in a process that is not told so. Faults that need a unix system return an error that
// matches [errors.ErrUnsupported] elsewhere.
package pooltest
