"""How a version turns texts into answers: tokenizer, windows, session, decoding.

The trainer's gate and the inference service run this very code. Nothing here imports torch, transformers or grpc.
"""
