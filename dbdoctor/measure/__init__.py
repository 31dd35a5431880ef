"""The idle timeout that the path to a server really has, measured."""
