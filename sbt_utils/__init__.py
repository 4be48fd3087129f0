"""The live companion to the spring-block theory of feature learning in deep neural networks.

Data flows one way: `datasets` -> `networks` -> `training` -> `probe` -> `separation` -> `figures`.
"""
