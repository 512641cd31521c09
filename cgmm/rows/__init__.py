"""Rows, wherever they are and whatever they lack, and the E-step that makes sufficient statistics of them.

statistics = sum over blocks of rows of expectation(block, density)
"""
