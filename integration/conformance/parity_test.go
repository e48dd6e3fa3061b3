//go:build unix

package conformance_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root       = "../.."
	parityFile = root + "/docs/parity.md"
)

// span is a run of rows: a letter, a first and a last number.
type span struct {
	letter      string
	first, last int
}

// rowSpans are the rows that Python's concurrent.futures and concurrent.interpreters have in this project's numbering.
var rowSpans = []span{
	{"M", 1, 6}, {"E", 1, 11}, {"E", 20, 37}, {"E", 50, 61}, {"F", 1, 21}, {"W", 1, 13}, {"C", 1, 9}, {"T", 1, 13},
	{"P", 1, 10}, {"P", 20, 24}, {"P", 30, 37}, {"P", 40, 53}, {"P", 60, 66}, {"P", 70, 73}, {"I", 1, 12}, {"N", 1, 27}, {"Q", 1, 15},
}

func allRows() []string {
	rows := []string{"E25b"}
	for _, s := range rowSpans {
		for n := s.first; n <= s.last; n++ {
			rows = append(rows, fmt.Sprint(s.letter, n))
		}
	}
	return rows
}

// cpythonTests are the tests of CPython's test_concurrent_futures and test_interpreters, by file.
var cpythonTests = map[string]string{
	"executor": `test_submit test_submit_keyword test_map test_map_exception test_map_timeout test_map_timeout_from_callable
		test_map_close test_map_buffersize_type_validation test_map_buffersize_value_validation test_map_buffersize
		test_map_buffersize_on_multiple_iterables test_map_buffersize_on_infinite_iterable
		test_map_buffersize_on_multiple_infinite_iterables test_map_buffersize_on_empty_iterable
		test_map_buffersize_without_iterable test_map_buffersize_when_buffer_is_full test_shutdown_race_issue12456
		test_no_stale_references test_max_workers_negative test_free_reference test_swallows_falsey_exceptions`,
	"test_future": `test_done_callback_with_result test_done_callback_with_exception test_done_callback_with_cancel
		test_done_callback_raises test_done_callback_already_successful test_done_callback_already_failed
		test_done_callback_already_cancelled test_done_callback_raises_already_succeeded test_repr test_cancel test_cancelled
		test_done test_running test_result_with_timeout test_result_with_success test_result_with_cancel
		test_exception_with_timeout test_exception_with_success test_multiple_set_result test_multiple_set_exception
		test_get_snapshot`,
	"test_wait": `test_20369 test_first_completed test_first_completed_some_already_completed test_first_exception
		test_first_exception_some_already_complete test_first_exception_one_already_failed test_all_completed test_timeout
		ThreadPoolWaitTests::test_pending_calls_race`,
	"test_as_completed": `test_no_timeout test_future_times_out test_duplicate_futures test_free_reference_yielded_future
		test_correct_timeout_exception_msg`,
	"test_init": `InitializerMixin::test_initializer FailingInitializerMixin::test_initializer
		FailingInitializerResourcesTest::test_spawn FailingInitializerResourcesTest::test_forkserver`,
	"test_shutdown": `test_run_after_shutdown test_interpreter_shutdown test_submit_after_interpreter_shutdown
		test_hang_issue12364 test_cancel_futures test_hang_gh83386 test_hang_gh94440 test_threads_terminate
		test_processes_terminate test_context_manager_shutdown test_del_shutdown test_shutdown_no_wait
		test_thread_names_assigned test_thread_names_default test_cancel_futures_wait_false test_shutdown_gh_132969_case_1
		test_shutdown_gh_132969_case_2`,
	"test_thread_pool": `test_map_submits_without_iteration test_default_workers test_saturation test_idle_thread_reuse
		test_hang_global_shutdown_lock test_process_fork_from_a_threadpool test_executor_map_current_future_cancel`,
	"test_process_pool": `test_max_workers_too_large test_killed_child test_map_chunksize test_traceback
		test_ressources_gced_in_workers test_saturation test_idle_process_reuse_one test_idle_process_reuse_multiple
		test_max_tasks_per_child test_max_tasks_per_child_defaults_to_spawn_context test_max_tasks_early_shutdown
		test_max_tasks_per_child_pending_tasks_gh115634 test_shutdown_no_wait_max_tasks_gh119592
		test_failed_worker_replacement_breaks_pool test_gc_during_max_tasks_worker_exit_gh152967
		test_force_shutdown_during_max_tasks_worker_exit test_python_finalization_error test_terminate_workers
		test_kill_workers test_force_shutdown_workers test_force_shutdown_workers_not_started_yet
		test_force_shutdown_workers_dead_workers test_force_shutdown_workers_stops_pool test_force_shutdown_workers_invalid_op
		test_broken_process_pool_traceback test_traceback_when_child_process_terminates_abruptly test_sysconf_permission_error`,
	"test_deadlock": `test_error_at_task_pickle test_exit_at_task_unpickle test_error_at_task_unpickle
		test_crash_at_task_unpickle test_crash_during_func_exec_on_worker test_exit_during_func_exec_on_worker
		test_error_during_func_exec_on_worker test_crash_during_result_pickle_on_worker
		test_exit_during_result_pickle_on_worker test_error_during_result_pickle_on_worker
		test_error_during_result_unpickle_in_result_handler test_exit_during_result_unpickle_in_result_handler
		test_shutdown_deadlock test_shutdown_deadlock_pickle test_crash_big_data
		test_gh105829_should_not_deadlock_if_wakeup_pipe_full`,

	"test_api": `ModuleTests::test_queue_aliases CreateTests::test_in_main CreateTests::test_in_thread
		CreateTests::test_in_subinterpreter CreateTests::test_after_destroy_all CreateTests::test_after_destroy_some
		GetMainTests::test_id GetMainTests::test_current GetMainTests::test_idempotent GetCurrentTests::test_main
		GetCurrentTests::test_subinterpreter GetCurrentTests::test_idempotent GetCurrentTests::test_created_with_capi
		ListAllTests::test_initial ListAllTests::test_after_creating ListAllTests::test_after_destroying
		ListAllTests::test_idempotent ListAllTests::test_created_with_capi InterpreterObjectTests::test_init_int
		InterpreterObjectTests::test_idempotent InterpreterObjectTests::test_init_does_not_exist
		InterpreterObjectTests::test_init_bad_id InterpreterObjectTests::test_hashable InterpreterObjectTests::test_equality
		InterpreterObjectTests::test_init_interpreter_id InterpreterObjectTests::test_init_unsupported
		InterpreterObjectTests::test_id_type InterpreterObjectTests::test_id_readonly InterpreterObjectTests::test_whence
		InterpreterObjectTests::test_pickle TestInterpreterIsRunning::test_main TestInterpreterIsRunning::test_subinterpreter
		TestInterpreterIsRunning::test_finished TestInterpreterIsRunning::test_from_subinterpreter
		TestInterpreterIsRunning::test_already_destroyed TestInterpreterIsRunning::test_with_only_background_threads
		TestInterpreterIsRunning::test_created_with_capi TestInterpreterClose::test_basic TestInterpreterClose::test_main
		TestInterpreterClose::test_already_destroyed TestInterpreterClose::test_still_running TestInterpreterClose::test_all
		TestInterpreterClose::test_from_other_thread TestInterpreterClose::test_from_current
		TestInterpreterClose::test_from_sibling TestInterpreterClose::test_subthreads_still_running
		TestInterpreterClose::test_created_with_capi TestInterpreterPrepareMain::test_empty
		TestInterpreterPrepareMain::test_dict TestInterpreterPrepareMain::test_not_shareable
		TestInterpreterPrepareMain::test_running TestInterpreterPrepareMain::test_tuple
		TestInterpreterPrepareMain::test_kwargs TestInterpreterPrepareMain::test_dict_and_kwargs
		TestInterpreterPrepareMain::test_created_with_capi TestInterpreterExec::test_created_with_capi
		TestInterpreterExec::test_success TestInterpreterExec::test_in_thread TestInterpreterExec::test_list_comprehension
		TestInterpreterExec::test_failure TestInterpreterExec::test_display_preserved_exception TestInterpreterExec::test_fork
		TestInterpreterExec::test_already_running TestInterpreterExec::test_bad_script
		TestInterpreterExec::test_bytes_for_script TestInterpreterExec::test_with_background_threads_still_running
		TestInterpreterCall::test_stateless_funcs TestInterpreterCall::test_stateless_func_returns_arg
		TestInterpreterCall::test_full_args TestInterpreterCall::test_full_defaults TestInterpreterCall::test_call_valid
		TestInterpreterCall::test_modified_arg TestInterpreterCall::test_func_in___main___valid
		TestInterpreterCall::test_func_in___main___invalid TestInterpreterCall::test_func_in___main___hidden
		TestInterpreterCall::test_func_in___main___uses_globals TestInterpreterCall::test_globals_from_stateless_func
		TestInterpreterCall::test_globals_from_builtins TestInterpreterCall::test_callable_requires_frame
		TestInterpreterCall::test_raises TestInterpreterCall::test_call_invalid TestInterpreterCall::test_call_in_thread
		TestIsShareable::test_default_shareables TestIsShareable::test_not_shareable LowLevelTests::test_new_config
		LowLevelTests::test_get_config LowLevelTests::test_get_main LowLevelTests::test_get_current
		LowLevelTests::test_list_all LowLevelTests::test_create LowLevelTests::test_destroy LowLevelTests::test_whence
		LowLevelTests::test_is_running LowLevelTests::test_exec LowLevelTests::test_call
		LowLevelTests::test_set___main___attrs`,
	"test_lifecycle": `StartupTests::test_sys_path_0 FinalizationTests::test_gh_109793`,
	"test_stress": `StressTests::test_create_many_sequential StressTests::test_create_many_threaded
		StressTests::test_many_threads_running_interp_in_other_interp`,
	"test_queues": `LowLevelTests::test_highlevel_reloaded LowLevelTests::test_create_destroy LowLevelTests::test_not_destroyed
		LowLevelTests::test_bind_release QueueTests::test_create QueueTests::test_id_readonly
		QueueTests::test_maxsize_readonly QueueTests::test_shareable QueueTests::test_pickle QueueTests::test_id_type
		QueueTests::test_custom_id QueueTests::test_hashable QueueTests::test_equality TestQueueOps::test_empty
		TestQueueOps::test_qsize TestQueueOps::test_full TestQueueOps::test_put_get_main TestQueueOps::test_put_timeout
		TestQueueOps::test_get_timeout TestQueueOps::test_put_nowait TestQueueOps::test_get_nowait
		TestQueueOps::test_put_full_fallback TestQueueOps::test_put_get_full_fallback
		TestQueueOps::test_put_get_same_interpreter TestQueueOps::test_put_get_different_interpreters
		TestQueueOps::test_put_cleared_with_subinterpreter TestQueueOps::test_put_cleared_with_subinterpreter_mixed
		TestQueueOps::test_put_cleared_with_subinterpreter_multiple TestQueueOps::test_put_get_different_threads`,
	"test_interpreter_pool": `InterpreterPoolExecutorTest::test_init_script InterpreterPoolExecutorTest::test_init_script_args
		InterpreterPoolExecutorTest::test_init_exception_in_script InterpreterPoolExecutorTest::test_submit_script
		InterpreterPoolExecutorTest::test_submit_exception_in_script InterpreterPoolExecutorTest::test_init_func
		InterpreterPoolExecutorTest::test_init_with___main___global InterpreterPoolExecutorTest::test_submit_func_globals
		InterpreterPoolExecutorTest::test_init_closure InterpreterPoolExecutorTest::test_init_instance_method
		InterpreterPoolExecutorTest::test_submit_closure InterpreterPoolExecutorTest::test_submit_instance_method
		InterpreterPoolExecutorTest::test_init_exception_in_func InterpreterPoolExecutorTest::test_submit_local_instance
		InterpreterPoolExecutorTest::test_pickle_errors_propagate InterpreterPoolExecutorTest::test_submit_exception_in_func
		InterpreterPoolExecutorTest::test_saturation InterpreterPoolExecutorTest::test_blocking
		InterpreterPoolExecutorTest::test_blocking_with_limited_workers InterpreterPoolExecutorTest::test_idle_thread_reuse
		AsyncioTest::test_run_in_executor AsyncioTest::test_run_in_executor_cancel AsyncioTest::test_default_executor`,
}

// everyPort is the ports of all tables.
func everyPort() []port { return append(slices.Concat(ports...), futurePorts...) }

// notHere begins the last cell of a row that no test can hold; the reason follows.
const notHere = "Not here: "

// tableLines are the cells of each line of the tables in parity.md, by the first cell. No first cell comes twice.
func tableLines(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(parityFile)
	require.NoError(t, err)
	lines := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		first := strings.Trim(cells[0], " `")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(first, "---") || first == "Row" || first == "Test of CPython" {
			continue
		}
		for _, name := range inFull(strings.Split(first, ", ")) {
			require.NotContains(t, lines, name, "twice in parity.md")
			lines[name] = cells
		}
	}
	return lines
}

// inFull completes names of FILE::CLASS::TEST that leave out what they have in common with the one before.
func inFull(names []string) []string {
	var before []string
	for i, name := range names {
		parts := strings.Split(name, "::")
		parts = append(before[:max(0, len(before)-len(parts))], parts...)
		names[i], before = strings.Join(parts, "::"), parts
	}
	return names
}

var reference = regexp.MustCompile("`(conformance:[^`]+|[a-z/]+\\.Test\\w+)`")

func TestParityListsEveryRow(t *testing.T) {
	lines := tableLines(t)
	rows := allRows()
	for _, row := range rows {
		cells, ok := lines[row]
		if !assert.True(t, ok, "parity.md lacks row %s", row) || !assert.Len(t, cells, 3, "row %s", row) {
			continue
		}
		held := strings.TrimSpace(cells[2])
		reason, none := strings.CutPrefix(held, notHere)
		if none {
			assert.Greater(t, len(reason), 10, "row %s: say why", row)
		} else {
			assert.Regexp(t, reference, held, "row %s names no test", row)
		}
		delete(lines, row)
	}
	for first := range lines {
		assert.Contains(t, first, "::", "parity.md has a row that there is not")
	}
}

func TestParityNamesOnlyTestsThatExist(t *testing.T) {
	exist := map[string]bool{}
	for _, p := range everyPort() {
		id := "conformance:" + p.id()
		assert.False(t, exist[id], "%s is there twice", id)
		exist[id] = true
	}
	for _, dir := range []string{"futures", "threadpool", "procpool", "ipc", "worker", "interpreters", "worker/starlark", "integration/procpool", "integration/conformance", "integration/interpreters"} {
		for _, name := range testFuncs(t, filepath.Join(root, dir)) {
			exist[dir+"."+name] = true
			if dir == "integration/conformance" {
				exist["conformance."+name] = true
			}
		}
	}
	text, err := os.ReadFile(parityFile)
	require.NoError(t, err)
	found := reference.FindAllStringSubmatch(string(text), -1)
	assert.NotEmpty(t, found)
	for _, match := range found {
		assert.True(t, exist[match[1]], "parity.md names %s, which does not exist", match[1])
	}
}

// testFuncs are the names of the tests in dir.
func testFuncs(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// What a port claims to hold is what parity.md says that it holds.
func TestPortsAndParityAgree(t *testing.T) {
	lines := tableLines(t)
	rows := allRows()
	claims := map[string]bool{}
	for _, p := range everyPort() {
		for _, row := range strings.Fields(p.rows) {
			assert.Contains(t, rows, row, p.id())
			claims[row+" conformance:"+p.id()] = true
			if cells := lines[row]; assert.Len(t, cells, 3, row) {
				assert.Contains(t, cells[2], "`conformance:"+p.id()+"`", "row %s", row)
			}
		}
	}
	for _, row := range rows {
		for _, match := range reference.FindAllStringSubmatch(strings.Join(lines[row], " "), -1) {
			if strings.HasPrefix(match[1], "conformance:") {
				assert.True(t, claims[row+" "+match[1]], "the port %s says nothing of row %s", match[1], row)
			}
		}
	}
}

// Every test of CPython has a port, or a line that says why not.
func TestEveryTestOfCPythonIsPorted(t *testing.T) {
	lines := tableLines(t)
	ported := map[string]bool{}
	for _, p := range everyPort() {
		ported[p.id()] = true
	}
	known := map[string]bool{}
	for file, names := range cpythonTests {
		for name := range strings.FieldsSeq(names) {
			id := file + "::" + name
			known[id] = true
			if ported[id] {
				assert.NotContains(t, lines, id, "it is ported")
				continue
			}
			if cells := lines[id]; assert.Len(t, cells, 2, "%s has neither a port nor a line in parity.md", id) {
				assert.Greater(t, len(cells[1]), 10, "%s: say why", id)
			}
		}
	}
	for _, p := range everyPort() {
		assert.True(t, p.file == "row" || known[p.id()], "CPython has no test %s", p.id())
	}
	for first := range lines {
		if strings.Contains(first, "::") {
			assert.True(t, known[first], "CPython has no test %s", first)
		}
	}
}
