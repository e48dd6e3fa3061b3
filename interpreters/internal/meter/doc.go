// Package meter rewrites WebAssembly modules so that a computing guest keeps asking its host whether it may go on:
//
//	metered, err := meter.Rewrite(module, meter.Options{})
//
// wazero runs a guest as machine code that nothing interrupts: without a call into Go, one endless loop holds its thread, the
// host's garbage collector and every cancellation. A metered module counts what it does in units, and calls the host function
// "interp"."tick" once per Options.Every units. What that function does is the host's: let Go's scheduler in, which the call alone
// does, count fuel, or panic to end the guest. It must not call into the guest.
//
// # Units
//
//	1          each time round a loop, each entry of a function that calls others, each 512 bytes of code in between
//	1 + n/64   memory.fill, memory.copy and memory.init of n bytes
//	1 + n/8    table.fill, table.copy and table.init of n elements
//	1 + n/256  memory.grow, n being the bytes there are after it
//	1 + n/8    table.grow, n being the elements there are after it
//	1024       each call of a host function, however it is reached
//
// Code made by Go goes round a loop for most of its jumps. Units are counted exactly: an instance that has used u units, over all its
// calls, has ticked u/Every times, and once more whenever it called the host function itself. That makes ticks times Every its fuel.
//
// # What bounds the time between two ticks
//
// No path through the code of a function is longer than 512 bytes without a unit, where a call in it stands for 128 bytes and a load
// for 12; and a function without units is a leaf with no more code than that. So a unit is at most five such leaves, and, when calls return
// one after the other, that much for each of them: these had their unit on entry. DefaultEvery units take 10 to 100
// microseconds; the slowest that a hostile guest was found to make of them, of cache misses or square roots, 0.1 to 0.4 seconds.
//
// A host function is not bounded by any of this. One that works long or waits has to look itself whether its guest should end.
// Neither is the time that wazero takes to compile: it grows with the square of the blocks in one function.
//
// # What is refused
//
// Rewrite decodes every instruction of the module. It refuses what it cannot decode, what would make an engine allocate much more
// than the module's own size, and what could reach the counter: a global or local that exists only after rewriting, in code, in a
// constant or as an export. It does not check types: wazero does, and the metered module is valid only if the module was.
//
// # What else changes
//
// Tables get a maximum: together they hold at most ten million elements more than they start with, as no memory limit counts them.
// Custom sections other than the names are left out: they are not needed to run, and those that point into code would be wrong.
package meter
