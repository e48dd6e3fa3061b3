package ipc

// Version is the version of the protocol: the second field of the handshake line, and "protocol" in hello and welcome.
const Version = 1

// The magic cookie tells a program that it was started as a worker, and by whom.
const (
	CookieKey   = "CONCURRENT_WORKER"
	CookieValue = "f9c1b2c7-8f3b-4a57-9a51-6f0c3f0d8a11"
)

// HandshakeLine is what a worker prints on its standard output when it is about to say hello, in the format of go-plugin's
// guide for plugins not written in Go: core protocol, our version, network, address, plugin protocol. The calls travel on
// inherited descriptors, so the address leads nowhere.
const HandshakeLine = "1|1|unix|descriptors-3-and-4|netrpc"

// Descriptors that a worker inherits.
const (
	FDRequests  = 3 // the worker reads frames
	FDResponses = 4 // the worker writes frames
	FDClaims    = 5 // the claim table, to be mapped shared
	FDRing      = 6 // the ring of responses, to be mapped shared
	FDArena     = 7 // the arena of large values, to be mapped shared
	FDDump      = 8 // the file for what the worker says as it dies
)

// Features that a worker may offer in hello and the host may take up in welcome.
const (
	FeatureClaims = "claims" // calls may be sent ahead: the worker claims each in the table before it starts it
	FeatureCancel = "cancel" // the worker understands cancel while a call runs
	FeatureRing   = "ring"   // the worker may leave responses in the ring
	FeatureDoze   = "doze"   // the worker wakes a host that waits for the ring's word; needs ring
	FeatureChunk  = "chunk"  // several calls may come in one message; needs claims
	FeatureArena  = "arena"  // large values may lie in the arena
	FeatureDump   = "dump"   // SIGQUIT ends the worker, and before that it writes down what it was doing
)

// MaxHello bounds the body of the first frame of a worker, which is read before anything is known about it.
const MaxHello = 1 << 20
