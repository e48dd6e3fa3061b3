package main

var hostile = []claim{
	// Frames.
	{says: "a frame longer than it may be is refused", at: "ipc", old: "if n > r.limit {", new: "if false {", test: test{"ipc", "TestReaderRefusesBodiesOverTheLimit"}},
	{says: "its length alone costs no memory", at: "ipc", old: "grown := make([]byte, len(body), min(n, max(2*len(body), growStep, 512)))", new: "grown := make([]byte, len(body), n)", test: test{"ipc", "TestReaderAllocatesNoMoreThanArrives"}},
	{says: "what begins no frame is refused", at: "ipc", old: "if !isMagicPrefix(head) {", new: "if false {", test: test{"ipc", "TestReaderNamesStrayBytes"}},
	{says: "at its first byte: no second one need ever come", at: "ipc", old: "if !isMagicPrefix(head) {", new: "if len(head) >= len(magic) && !isMagicPrefix(head) {", test: test{"ipc", "TestReaderDoesNotWaitForMoreStrayBytes"}, how: hangs},
	{says: "a frame that is cut is no clean end, in its head", at: "ipc", old: "if err == io.EOF && len(head) > 0 {", new: "if false {", test: test{"ipc", "TestReaderTellsACutFrameFromACleanEnd"}},
	{says: "nor in its body", at: "ipc", old: "if err == io.EOF {\n\t\t\t\terr = io.ErrUnexpectedEOF\n\t\t\t}\n\t\t\treturn nil, err\n\t\t}\n\t}\n\tr.body", new: "return nil, err\n\t\t}\n\t}\n\tr.body", test: test{"ipc", "TestReaderTellsACutFrameFromACleanEnd"}},
	{says: "a long body is not kept until the next comes", at: "ipc", old: "if cap(r.body) > keepBody {", new: "if false {", test: test{"ipc", "TestReaderLetsGoOfALargeBufferBeforeItWaits"}},
	{says: "the first frame, of which nothing is known, may have a megabyte", at: "procpool", old: "grace: pipeSize}, ipc.MaxHello)", new: "grace: pipeSize}, ipc.MaxBody)", test: test{pool, "TestAWorkerThatDoesNotShakeHandsIsAStartError/hello without end"}},
	{says: "none is longer than the memory that the worker may have", at: "procpool", old: "return uint32(min(p.config.Limits.Memory, ipc.MaxBody))", new: "return ipc.MaxBody", test: test{box, "TestAWorkerCannotHaveItsHostTakeMoreMemoryThanItMayHave"}},

	// What is no message.
	{says: "the host looks up no address that a worker names as it shakes hands", at: "procpool", old: `network != "unix" || !strings.HasPrefix(rest, addr+"|")`, new: `network == "" && !strings.HasPrefix(rest, addr+"|")`, test: test{"procpool", "TestTheHandshakeLineIsAllThatGoPluginGets/a name to look up"}},
	{says: "nor one that a worker does not have", at: "procpool", old: `network != "unix" || !strings.HasPrefix(rest, addr+"|")`, new: `network != "unix" || !strings.HasPrefix(rest, "d")`, test: test{"procpool", "TestTheHandshakeLineIsAllThatGoPluginGets/another socket"}},
	{says: "it reads no certificate there", at: "procpool", old: "fields[:min(len(fields), 5)]", new: "fields", test: test{"procpool", "TestTheHandshakeLineIsAllThatGoPluginGets/with a certificate"}, how: crashes},
	{says: "a line of the log is what it is, whatever stands where text should", at: "procpool", old: "if !isText || !isLevel {", new: "if !isLevel && !isText {", test: test{"procpool", "TestLinesOnStandardErrorKeepTheirLevel"}},
	{says: "the error of a start holds nothing that a terminal obeys, and is not long", at: "procpool", old: `abbreviate(strings.Join(strings.Fields(e.Err.Error()), " "))`, new: `strings.Join(strings.Fields(e.Err.Error()), " ")`, test: test{"procpool", "TestErrorsHoldNothingThatATerminalObeys"}},

	// Messages.
	{says: "a message has as many elements as its kind", at: "ipc", old: "c.bad || size != want ||", new: "c.bad || size != want && false ||", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "and a value, unless it says where that lies", at: "ipc", old: "size != want || (len(m.Value) == 0) != placed {", new: "size != want || placed && false {", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "what cannot be read is none", at: "ipc", old: "if c.bad || size", new: "if size", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "a chunk has a number of calls that is bounded", at: "ipc", old: "m.Calls < 1 || m.Calls > MaxChunk", new: "false", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "a notification has one parameter", at: "ipc", old: "c.bad || c.array() != 1 || len(body) > MaxHello", new: "c.bad || c.array() == -2 || len(body) > MaxHello", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "and is no longer than it may be", at: "ipc", old: "c.array() != 1 || len(body) > MaxHello", new: "c.array() != 1", test: test{pool, "TestAHostileWorkerCostsItsOwnCalls/notify without end"}, how: hangs},
	{says: "a failure is no longer than it may be", at: "ipc", old: "if err != nil || n > MaxEnvelope {", new: "if err != nil {", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "and nests no deeper", at: "ipc", old: "Valid(c.rest, maxEnvelopeDepth)", new: "Valid(c.rest, MaxDepth)", test: test{"ipc", "TestBodiesThatAreNoMessage"}},
	{says: "what the worker says of itself is checked as a breach of the protocol, and no value is to blame", at: "ipc", old: `return fmt.Errorf("%w: %v", ErrProtocol, err) //nolint:errorlint // on purpose: see above`, new: "return err", test: test{"ipc", "TestAParameterThatCannotBeReadIsABreachAndNoValueIsToBlame"}},

	// Values.
	{says: "a value nests no deeper than it may, also as msgpack recurses over it", at: "ipc", old: "case kids >= 0 && head >= maxDepth:", new: "case head < 0:", test: test{"ipc", "TestWhatCannotBeDecoded/deep any"}},
	{says: "an array or a map has no more values than there are bytes", at: "ipc", old: "case perItem*body > uint64(len(rest)):", new: "case perItem*body > 1<<40:", test: test{"ipc", "TestWhatCannotBeDecoded/huge array"}},
	{says: "a text, bytes or an extension no more bytes than there are", at: "ipc", old: "case body > uint64(len(rest)):", new: "case false:", test: test{"ipc", "TestWhatCannotBeDecoded/huge extension"}},
	{says: "the head of a value is whole", at: "ipc", old: "if rest == nil {\n\t\treturn 0, 0, io.ErrUnexpectedEOF\n\t}", test: test{"ipc", "TestValid/text 32 cut in head"}},
	{says: "a byte that begins no value is refused", at: "ipc", old: `return 0, 0, errors.New("ipc: 0xc1 begins no msgpack value")`, new: "return pos + 1, -1, nil", test: test{"ipc", "TestValid/never used"}},
	{says: "nothing comes after the value", at: "ipc", old: "if err == nil && n < len(src) {\n\t\terr = fmt.Errorf(\"ipc: %d bytes after the end of the value\", len(src)-n)\n\t}", test: test{"ipc", "TestDecodeShared"}},
	{says: "and nothing of it is left", at: "ipc", old: "if s.pos < n {", new: "if false {", test: test{"ipc", "TestWhatCannotBeDecoded/left unread"}},
	{says: "what is in an extension is not taken for a value that was checked", at: "ipc", old: "if s.extensions[0] == s.pos {", new: "if false {", test: test{"ipc", "TestWhatCannotBeDecoded/deep map in extension"}},
	{says: "an extension without a body is not taken for its neighbour", at: "ipc", old: "if body == end {", new: "if false {", test: test{"ipc", "TestWhatCannotBeDecoded/empty extension"}},
	{says: "a panic as a value is decoded is an error", at: "ipc", old: "defer containPanic(&err)\n\ts.dec.Reset(s)", new: "s.dec.Reset(s)", test: test{"ipc", "TestWhatCannotBeDecoded/panic"}, how: crashes},
	{says: "a key that cannot be one is an error", at: "ipc", old: "if !reflect.ValueOf(&key).Elem().Comparable() {", new: "if false {", test: test{"ipc", "TestWhatCannotBeDecoded/the same in any"}},

	// Shared memory.
	{says: "a place in the arena is in the worker's half of it", at: "ipc", old: "if from > uint64(len(half)) || p.Len > uint64(len(half))-from {", new: "if from > uint64(len(half)) {", test: test{"ipc", "TestPlacesThatAreNotTheOtherSides"}, how: crashes},
	{says: "and begins there", at: "ipc", old: "if from > uint64(len(half)) || p.Len > uint64(len(half))-from {", new: "if p.Len > uint64(len(half))-from {", test: test{"ipc", "TestPlacesThatAreNotTheOtherSides"}, how: crashes},
	{says: "a value is copied before it is decoded, where its bytes are looked at twice", at: "ipc", old: "return DecodeValue(slices.Clone(src), into)", new: "_ = slices.Clone[[]byte]\n\treturn DecodeValue(src, into)", test: test{"ipc", "TestWhatIsSharedIsCopiedBeforeItIsDecoded"}},
	{says: "a ring does not hold more than there is room for", at: "ipc", old: "if n > uint64(len(r.data)) || n%8 != 0 {", new: "if n%8 != 0 {", test: test{"ipc", "TestAWorkerThatScribblesOverTheRing"}},
	{says: "nor parts of words", at: "ipc", old: "if n > uint64(len(r.data)) || n%8 != 0 {", new: "if n > uint64(len(r.data)) {", test: test{"ipc", "TestAWorkerThatScribblesOverTheRing"}},
	{says: "the host's position in the ring is its own", at: "ipc", old: "r.at = produced\n\tr.consumed.Store(produced)", new: "r.at = produced\n\tr.at = r.consumed.Add(n)", test: test{"ipc", "TestAWorkerThatScribblesOverTheHostsPosition"}},
	{says: "an entry of the ring has a head", at: "ipc", old: "if len(entries) < entryHeader {", new: "if len(entries) == 0 {", test: test{"ipc", "TestEntriesThatAreNone"}, how: crashes},
	{says: "and does not go beyond the end", at: "ipc", old: "if n > len(entries) || padded(n) > len(entries) {", new: "if false {", test: test{"ipc", "TestEntriesThatAreNone"}, how: crashes},
	{says: "a claim that speaks of another call is none", at: "ipc", old: "if w>>2 != id&(1<<62-1) {", new: "if false {", test: test{"ipc", "TestAWorkerThatScribbles$"}},
	{says: "of a chunk's claim the host makes calls of that chunk", at: "ipc", old: "if id < first || id > last || state == ClaimQueued {", new: "if state == ClaimQueued {", test: test{"ipc", "TestAWorkerThatScribblesOverAChunk"}},
	{says: "also where it takes back the rest", at: "ipc", old: "case state == ClaimStarted && id >= first && id < last:", new: "case state == ClaimStarted:", test: test{"ipc", "TestAWorkerThatScribblesOverAChunk"}},
	{says: "memory that is shared cannot be cut off under the host", at: "procpool", old: "unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|", new: "", test: test{pool, "TestTheArenaIsGivenBack"}},
	{says: "what is shared cannot be executed", at: "procpool", old: `unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)`, new: `unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)`, test: test{box, "TestSharedMemoryCannotBeExecuted"}},

	// Answers.
	{says: "an answer is to the oldest call that the worker has", at: "procpool", old: "if len(w.calls) == 0 || w.calls[0].due() != next {", new: "if len(w.calls) == 0 {", test: test{pool, "TestAHostileWorkerCostsItsOwnCalls/answer another call"}},
	{says: "and to one at all", at: "procpool", old: "if len(w.calls) == 0 || w.calls[0].due() != next {", new: "if len(w.calls) > 0 && w.calls[0].due() != next {", test: test{pool, "TestABreachBehindAnAnswer/answer twice"}, how: crashes},
	{says: "no call was withdrawn but by the host", at: "procpool", old: "case withdrawn && (w.claims == nil || !f.withdrawn()):", new: "case false:", test: test{pool, "TestAHostileWorkerCostsItsOwnCalls/say withdrawn of a call that is not"}},
	{says: "no call was run that the host has withdrawn", at: "procpool", old: "if f.done < f.cut && w.claims.State(f.id) != ipc.ClaimWithdrawn {", new: "if true {", test: test{"procpool", "TestStateRefusesAnAnswerToACallThatWasTakenBack"}},
	{says: "no call of a chunk was run that was not claimed", at: "procpool", old: "return max(0, min(n, int(int64(f.seen)-int64(f.due())+1)))", new: "return n", test: test{"procpool", "TestStateAWorkerThatLiesAboutItsChunk"}},
	{says: "nor one behind those that it still had", at: "procpool", old: "n = min(n, int(f.cut-f.done))\n", new: "", test: test{"procpool", "TestStateRefusesAnAnswerToACallThatWasTakenBack"}},
	{says: "whatever a worker makes of the claims, its calls are settled once", at: "procpool", old: "keep = max(f.done, int32(min(w.claims.WithdrawRest(f.id, f.last())-f.id, uint64(f.cut))))", new: "keep = int32(w.claims.WithdrawRest(f.id, f.last())-f.id)", test: test{"procpool", "TestStateAWorkerThatLiesAboutItsChunk"}},
	{says: "a worker that writes down that it has finished does not switch off the Timeout", at: "procpool", old: "w.lastChance = true // the answer", new: "// the answer", test: test{"procpool", "TestStateKillsAWorkerThatNeverAnswers"}},
	{says: "a worker sends nothing but responses and notifications", at: "procpool", old: `return fmt.Errorf("%w: a worker sends no such message", ipc.ErrProtocol)`, test: test{pool, "TestAHostileWorkerCostsItsOwnCalls/ask the host"}},
	{says: "no places without an arena", at: "procpool", old: "m.Kind == ipc.KindPlacedResponse && in.arena != nil", new: "m.Kind == ipc.KindPlacedResponse", test: test{pool, "TestAHostileWorkerCostsItsOwnCalls/place a result without the feature"}, how: crashes},
	{says: "the ring holds responses and nothing else", at: "procpool", old: "if !in.isResponse(m) || m.ID != e.ID {", new: "if m.ID != e.ID {", test: test{"procpool", "TestWhatTheRingHoldsIsAResponseToItsCall"}, how: crashes},
	{says: "and each to the call that its entry names", at: "procpool", old: "if !in.isResponse(m) || m.ID != e.ID {", new: "if !in.isResponse(m) {", test: test{"procpool", "TestWhatTheRingHoldsIsAResponseToItsCall"}},
	{says: "an answer before a breach counts", at: "procpool", old: "case len(in.answers) > 0:\n\t\t\tl.answered()\n\t\tcase in.broken != nil:\n\t\t\treturn in.broken", new: "case in.broken != nil:\n\t\t\treturn in.broken\n\t\tcase len(in.answers) > 0:\n\t\t\tl.answered()", test: test{pool, "TestABreachBehindAnAnswer/leave rubbish behind an answer"}},
	{says: "a call whose result has another type fails, and nobody else", at: "procpool", old: "t.reject(n, fmt.Errorf(\"procpool: the result of %s: %w\", t.fn.name, err))\n\t\treturn", new: "_ = err", test: test{pool, "TestAHostileResultCostsItsCall"}},
	{says: "a decoding method that leaves by Goexit costs its call", at: "procpool", old: "if !decoded {", new: "if !decoded && false {", test: test{grid, "TestGrid/decode result/runtime.Goexit/ReplaceWorker"}, how: hangs},

	// What is said before the first call.
	{says: "the first message of a worker is hello", at: "procpool", old: "if m.Kind != ipc.KindNotification || string(m.Name) != ipc.Hello {", new: "if false {", test: test{pool, "TestAWorkerThatDoesNotShakeHandsIsAStartError/another message than hello"}},
	{says: "it speaks this version", at: "procpool", old: "if hello.Protocol != ipc.Version {", new: "if false {", test: test{pool, "TestAWorkerThatDoesNotShakeHandsIsAStartError/hello of another version"}},
	{says: "it answers the initializer and no other call", at: "procpool", old: "if m.Kind != ipc.KindResponse || m.ID != ipc.InitializerID {", new: "if false {", test: test{pool, "TestAWorkerThatAnswersAnotherCallThanTheInitializer"}},
	{says: "its functions take and return what they are called with", at: "procpool", old: "if c.there != \"\" && c.here != unchecked && c.there != c.here {", new: "if false {", test: test{pool, "TestAFuncOfOtherTypesIsRefused"}},
	{says: "what it says of itself does not fill an error", at: "procpool", old: `return harmless(strings.ToValidUTF8(s[:most], "")) + "..."`, new: "return harmless(s)", test: test{"procpool", "TestWhatAWorkerSaysOfItselfDoesNotFillAnError"}},
	{says: "what it prints before it shakes hands is not kept without bound", at: "procpool", old: "if len(h.buf) > maxLine {", new: "if false {", test: test{"procpool", "TestALineBeforeTheHandshakeIsNotKept"}},
	{says: "a line of its output neither", at: "procpool", old: "if len(l.partial) >= maxLine {", new: "if false {", test: test{pool, "TestAnyVolumeInOneLine/stdout"}},
	{says: "a program of another checksum is not started", at: "procpool", old: "} else if !ok {\n\t\t\treturn plugin.ErrChecksumsDoNotMatch\n\t\t}", new: "} else if !ok {\n\t\t\t_ = plugin.ErrChecksumsDoNotMatch\n\t\t}", test: test{pool, "TestTheChecksumDecidesWhichProgramIsStarted"}},
	{says: "a worker does not get the host's standard input", at: "procpool", old: "cmd.Stdin, cmd.Stdout", new: "cmd.Stdin = os.Stdin\n\t_, cmd.Stdout", test: test{pool, "TestStandardInputIsNotTheHosts"}},
}
