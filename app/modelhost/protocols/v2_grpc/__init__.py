"""The Open Inference Protocol v2 over gRPC. Imported where it is switched on, and nowhere else: grpcio takes memory."""
